"""`python -m gateway.cli` is `diya`."""

from __future__ import annotations

from gateway.cli import main

if __name__ == "__main__":
    main()
