"""The command line `diya`.

Remote commands (one file for each noun) use `gateway.client` alone and import no server code. What
runs a gateway of one's own (`init`, `serve`, `demo`) registers itself from `gateway.cli.local` when
that is installed.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script; ends the process."""
    from gateway.cli.app import build_app  # noqa: PLC0415  # `import gateway.cli` stays cheap

    build_app()(prog_name="diya")
