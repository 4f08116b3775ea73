"""Programs in Go that call what other people wrote; without Go, or where their modules cannot be had, tests skip."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

GO = shutil.which("go")


def built(folder: Path, into: Path) -> Path:
    """The program of a folder with a go.mod and a go.sum that pins its modules, built into another folder."""
    if GO is None:
        pytest.skip("no go on the path: install Go 1.25 or newer to run this test")
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    try:
        fetched = subprocess.run(
            [GO, "mod", "download"],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
            timeout=100,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the Go modules do not come: no answer within 100 seconds")
    if fetched.returncode:
        pytest.skip(f"the Go modules cannot be had: {fetched.stderr.decode().strip()[-300:]}")
    program = into / folder.name
    subprocess.run(
        [GO, "build", "-buildvcs=false", "-o", str(program), "."],
        cwd=folder,
        env=environment,
        check=True,
        timeout=300,
    )
    return program
