"""Generate gateway/pb from proto/, and hold the contract to its rules.

    python proto/generate.py             write gateway/pb anew
    python proto/generate.py --check     exit 1 when gateway/pb is not what proto/ gives
    python proto/generate.py --lint      buf lint (STANDARD and COMMENTS)
    python proto/generate.py --breaking  buf breaking against the released contract, proto/diya.v1.binpb
    python proto/generate.py --release   make the present contract that baseline

buf would fetch imports from the network; here protoc compiles one descriptor image with every import
in it (google/api, google/rpc and google/type come with googleapis-common-protos), and buf reads that.
"""

from __future__ import annotations

import argparse
import filecmp
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGE = "diya/v1"
OUT = ROOT / "gateway" / "pb"
BASELINE = HERE / "diya.v1.binpb"

#: Where each level of the generated package says what it is.
INITS = {
    "": '"""Code generated from proto/ by proto/generate.py. Do not edit; run `make proto`."""\n',
    "diya": '"""Generated. The contract, by version."""\n',
    "diya/v1": '"""Generated from proto/diya/v1, one module per file and one per service."""\n',
}

#: A generated import of our own package, which lives under gateway.pb and not at the top.
OWN_IMPORT = re.compile(r"^(?P<lead>\s*)(?P<verb>from|import) diya(?P<rest>[.\s])", re.MULTILINE)


class GenerationError(RuntimeError):
    """protoc or buf said no; the message is what it printed."""


def sources() -> list[str]:
    """Our proto files, relative to proto/, sorted."""
    return sorted(p.relative_to(HERE).as_posix() for p in (HERE / PACKAGE).glob("*.proto"))


def include_flags() -> list[str]:
    """Where protoc finds imports: ours, protobuf's own, and googleapis-common-protos'."""
    return [
        f"-I{HERE}",
        f"-I{folder_of('grpc_tools') / '_proto'}",
        f"-I{folder_of('google.rpc').parents[1]}",
    ]


def folder_of(package: str) -> Path:
    """Where an installed package lies. Raises GenerationError when it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise GenerationError(f"{package} is not installed; install requirements.lock into this environment")
    return Path(next(iter(spec.submodule_search_locations)))


def plugin_flags() -> list[str]:
    """Where protoc finds mypy-protobuf's plugins: beside this interpreter, whatever PATH says."""
    folder = Path(sys.executable).parent
    return [f"--plugin={folder / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]


def run_protoc(*flags: str, files: list[str] | None = None) -> None:
    """Run the bundled protoc over `files`, by default all of ours. Raises GenerationError."""
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    command = [*protoc, *include_flags(), *plugin_flags(), *flags, *(files or sources())]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GenerationError(f"protoc ended with status {done.returncode}: {done.stderr.strip()}")


def qualify_imports(text: str) -> str:
    """Rewrite `from diya.v1 import x` and `import diya.v1.x` to their place under gateway.pb."""
    return OWN_IMPORT.sub(r"\g<lead>\g<verb> gateway.pb.diya\g<rest>", text)


def generate(out: Path) -> None:
    """Write the whole generated package to `out`, which must not exist or be a former one."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    services = [name for name in sources() if name.endswith("_service.proto")]
    run_protoc(f"--python_out={out}", f"--mypy_out=quiet:{out}")
    run_protoc(f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", files=services)
    for path in (out / PACKAGE).iterdir():
        path.write_text(qualify_imports(path.read_text(encoding="utf-8")), encoding="utf-8")
    for folder, text in INITS.items():
        (out / folder / "__init__.py").write_text(text, encoding="utf-8")


def stale_files(committed: Path = OUT) -> list[str]:
    """Files of gateway/pb that are missing, superfluous or not what proto/ gives today."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "pb"
        generate(fresh)
        theirs = {p.relative_to(fresh).as_posix() for p in fresh.rglob("*.py*") if p.is_file()}
        ours = {
            p.relative_to(committed).as_posix()
            for p in committed.rglob("*.py*")
            if p.is_file() and "__pycache__" not in p.parts
        }
        _, differing, unreadable = filecmp.cmpfiles(fresh, committed, sorted(theirs & ours), shallow=False)
    return sorted((theirs ^ ours) | set(differing) | set(unreadable))


def write_image(path: Path, *, comments: bool = True) -> None:
    """Compile all our files with every import, and with their comments, into one descriptor set."""
    run_protoc(
        f"--descriptor_set_out={path}",
        "--include_imports",
        *(["--include_source_info"] if comments else []),
    )


def run_buf(*arguments: str) -> str:
    """Run buf in proto/, where buf.yaml is; the result is its complaints, empty when it has none."""
    buf = shutil.which("buf", path=str(Path(sys.executable).parent)) or shutil.which("buf")
    if buf is None:
        raise GenerationError("buf is not installed; it comes with the package buf-bin of requirements.lock")
    done = subprocess.run([buf, *arguments], cwd=HERE, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).strip()
    return said if said or done.returncode == 0 else f"buf ended with status {done.returncode}"


def lint() -> str:
    """What buf lint has against the contract."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        write_image(image)
        return run_buf("lint", str(image), "--config", str(HERE / "buf.yaml"))


def breaking() -> str:
    """What would break a caller built on the released contract."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        write_image(image)
        return run_buf(
            "breaking",
            str(image),
            "--against",
            str(BASELINE),
            "--config",
            str(HERE / "buf.yaml"),
            "--exclude-imports",
        )


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; the exit status is 0 only when all is well."""
    parser = argparse.ArgumentParser(description="Generate gateway/pb, and hold the contract to its rules.")
    parser.add_argument("--check", action="store_true", help="only tell whether gateway/pb is fresh")
    parser.add_argument("--lint", action="store_true", help="run buf lint")
    parser.add_argument(
        "--breaking", action="store_true", help="run buf breaking against the released contract"
    )
    parser.add_argument("--release", action="store_true", help="make the present contract the released one")
    chosen = parser.parse_args(arguments)
    complaints: list[str] = []
    if chosen.check:
        stale = stale_files()
        complaints += [f"gateway/pb/{name} is not what proto/ gives; run `make proto`" for name in stale]
    if chosen.lint:
        complaints += lint().splitlines()
    if chosen.breaking:
        complaints += breaking().splitlines()
    if chosen.release:
        write_image(BASELINE, comments=False)
    if not (chosen.check or chosen.lint or chosen.breaking or chosen.release):
        generate(OUT)
    for line in complaints:
        sys.stderr.write(line + "\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except GenerationError as error:
        raise SystemExit(str(error)) from error
