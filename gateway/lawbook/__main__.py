"""Write the pages of the law anew, or say which differ from the code.

python -m gateway.lawbook            write docs/law.md, docs/law/*.md and docs/reasons.md
python -m gateway.lawbook --check    exit 1 when they are not what the code gives
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gateway.lawbook.pages import pages, stale, write

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main(arguments: list[str] | None = None, docs: Path = DOCS) -> int:
    """The command; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gateway.lawbook", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a page differs")
    asked = parser.parse_args(arguments)
    current = pages()
    if not asked.check:
        write(docs, current)
        return 0
    old = stale(docs, current)
    for name in old:
        print(f"docs/{name} is not what the code gives: run `make pages`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
