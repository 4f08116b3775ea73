"""APPLICATION.json: what a person writes, and what of it becomes a manifest.

The file is the protobuf JSON mapping of diya.v1.Manifest, written by hand: `terms` is the object
and not its bytes, `header` states what the settings do not, and `files` and `sections` name paths
relative to the file.

    {"header": {"clerk": {"name": "…", "employeeNumber": "…"}},
     "terms": {"version": 1, "units": […], "parties": […], "operations": […],
               "loanKind": "LOAN_KIND_COMMERCIAL"},
     "files": [{"paperCode": "IDENTITY", "path": "id.pdf", "parties": ["buyer-1"]},
               {"paperCode": "MORTGAGE_CONTRACT", "path": "scan.tif", "signatures": ["scan.tif.p7s"]}],
     "sections": [{"name": "loan", "path": "loan.json", "readers": []}],
     "answers": [{"party": "buyer-1", "question": "TRUE_INTENT", "answer": "是"}],
     "papersToCome": [], "insist": false, "contacts": []}

`answers` go into the record of questions (`diya forms`) and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import ParseDict

from gateway.cli.reading import FAULTS, read_file, read_json
from gateway.cli.settings import ClientSettings
from gateway.client.errors import InputError
from gateway.client.local_files import not_such_a_file
from gateway.client.manifest import VALID_FOR, instant, section, terms_bytes
from gateway.pb.diya.v1 import codes_pb2, envelope_pb2, registration_service_pb2, terms_pb2

_OWN: Final = ("terms", "files", "sections", "answers")
_SHAPE: Final = ("an application file (docs/client.md shows one)", "申请文件（样例见 docs/client.md）")


@dataclass(frozen=True, slots=True)
class PaperFile:
    """A file to upload as a paper. signatures: detached signatures over it, CMS or GB/T 35275."""

    paper_code: str
    path: Path
    readers: tuple[str, ...] = ()
    operations: tuple[int, ...] = ()
    parties: tuple[str, ...] = ()
    signatures: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class ApplicationFile:
    """An application file, read. manifest: without terms, files and sections."""

    manifest: envelope_pb2.Manifest
    terms: terms_pb2.Terms
    files: tuple[PaperFile, ...]
    sections: tuple[tuple[envelope_pb2.SectionReference, envelope_pb2.Section], ...]
    answers: tuple[registration_service_pb2.InquiryAnswer, ...]


def read_application(path: Path) -> ApplicationFile:
    """Read and parse the file. Raises InputError naming the file and the first fault."""
    data = read_json(path, *_SHAPE)
    if not isinstance(data, dict) or not isinstance(data.get("terms"), dict):
        raise not_such_a_file(path, ValueError('an object with an object "terms" is expected'), *_SHAPE)
    try:
        return ApplicationFile(
            ParseDict(
                {name: value for name, value in data.items() if name not in _OWN},
                envelope_pb2.Manifest(),
            ),
            ParseDict(data["terms"], terms_pb2.Terms()),
            tuple(_paper(one, path.parent) for one in data.get("files", ())),
            tuple(_section(one, path.parent) for one in data.get("sections", ())),
            tuple(
                ParseDict(one, registration_service_pb2.InquiryAnswer()) for one in data.get("answers", ())
            ),
        )
    except InputError as error:  # a section's own file
        raise InputError(f"{path}: {error.en}", f"{path}：{error.zh}") from error
    except FAULTS as error:
        raise not_such_a_file(path, error, *_SHAPE) from error


def parse_file_option(text: str) -> PaperFile:
    """`CODE=PATH` of the option --file. Raises InputError."""
    code, equals, path = text.partition("=")
    if not equals or not code or not path:
        raise InputError(
            f"--file {text}: CODE=PATH is expected, such as MORTGAGE_CONTRACT=contract.pdf",
            f"--file {text}：应为 材料代码=路径，例如 MORTGAGE_CONTRACT=contract.pdf",
        )
    return PaperFile(code, Path(path))


def terms_of(application: ApplicationFile, settings: ClientSettings) -> bytes:
    """The serialized terms; registry and version are filled in where the file leaves them out."""
    terms = terms_pb2.Terms()
    terms.CopyFrom(application.terms)
    terms.registry = terms.registry or settings.text("registry")
    terms.version = terms.version or 1
    return terms_bytes(terms)


def build_manifest(
    application: ApplicationFile,
    settings: ClientSettings,
    kind: codes_pb2.ApplicationKind.ValueType,
    *,
    terms: bytes,
    files: list[envelope_pb2.FileReference],
    request_id: str,
    now: datetime,
    validate_only: bool,
) -> envelope_pb2.Manifest:
    """The manifest to sign. What the file states wins over the settings. Raises InputError."""
    manifest = envelope_pb2.Manifest()
    manifest.CopyFrom(application.manifest)
    if manifest.kind not in (codes_pb2.APPLICATION_KIND_UNSPECIFIED, kind):
        name = codes_pb2.ApplicationKind.Name(manifest.kind)
        raise InputError(f"the file is an application of {name}", f"该文件的申请种类为 {name}")
    manifest.kind = kind
    manifest.terms = terms
    manifest.files.extend(files)
    manifest.sections.extend(reference for reference, _ in application.sections)
    header = manifest.header
    header.registry = header.registry or settings.text("registry")
    header.channel_institution = header.channel_institution or settings.text("channel_institution")
    header.applicant_institution = (
        header.applicant_institution or settings.applicant_institution or header.channel_institution
    )
    clerk = settings.clerk
    if not header.HasField("clerk") and clerk.name:
        header.clerk.name = clerk.name
        header.clerk.employee_number = clerk.employee_number
        header.clerk.authorisation_number = clerk.authorisation_number
    header.request_id = header.request_id or request_id
    header.validate_only = header.validate_only or validate_only
    if not header.HasField("created_at"):
        header.created_at.CopyFrom(instant(now))
    if not header.HasField("not_after"):
        header.not_after.CopyFrom(instant(now + VALID_FOR))
    return manifest


def _paper(data: dict[str, Any], folder: Path) -> PaperFile:
    return PaperFile(
        str(data["paperCode"]),
        folder / str(data["path"]),
        tuple(map(str, data.get("readers", ()))),
        tuple(map(int, data.get("operations", ()))),
        tuple(map(str, data.get("parties", ()))),
        tuple(folder / str(one) for one in data.get("signatures", ())),
    )


def _section(
    data: dict[str, Any], folder: Path
) -> tuple[envelope_pb2.SectionReference, envelope_pb2.Section]:
    path = folder / str(data["path"])
    return section(str(data["name"]), read_file(path), tuple(map(str, data.get("readers", ()))))
