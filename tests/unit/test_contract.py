"""The contract's own rules, read from its compiled descriptors and comments.

buf holds the general rules (names, packages, a zero for every enum); these are ours.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple, TypeAlias

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ".diya.v1."
HAN = re.compile(r"[\u4e00-\u9fff]")


class Commented(NamedTuple):
    """One element of the contract: its kind, its full name, its comment and its descriptor."""

    kind: str
    name: str
    comment: str
    element: object


def load_generator() -> ModuleType:
    """proto/generate.py, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("contract_generate", ROOT / "proto" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    """The generation script."""
    return load_generator()


@pytest.fixture(scope="module")
def files(generator: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    """Our files, compiled with their comments."""
    image = tmp_path_factory.mktemp("contract") / "image.binpb"
    generator.write_image(image)
    compiled = FileDescriptorSet.FromString(image.read_bytes())
    return [file for file in compiled.file if file.package == "diya.v1"]


def walk(file: FileDescriptorProto) -> Iterator[Commented]:
    """Every element of a file with its leading comment."""
    comments = {tuple(at.path): at.leading_comments.strip() for at in file.source_code_info.location}

    def of_enum(enum: EnumDescriptorProto, path: tuple[int, ...], scope: str) -> Iterator[Commented]:
        name = f"{scope}.{enum.name}"
        yield Commented("enum", name, comments.get(path, ""), enum)
        for i, value in enumerate(enum.value):
            yield Commented("value", f"{name}.{value.name}", comments.get((*path, 2, i), ""), value)

    def of_message(message: DescriptorProto, path: tuple[int, ...], scope: str) -> Iterator[Commented]:
        name = f"{scope}.{message.name}"
        yield Commented("message", name, comments.get(path, ""), message)
        for i, field in enumerate(message.field):
            yield Commented("field", f"{name}.{field.name}", comments.get((*path, 2, i), ""), field)
        for i, oneof in enumerate(message.oneof_decl):
            yield Commented("oneof", f"{name}.{oneof.name}", comments.get((*path, 8, i), ""), oneof)
        for i, nested in enumerate(message.nested_type):
            yield from of_message(nested, (*path, 3, i), name)
        for i, enum in enumerate(message.enum_type):
            yield from of_enum(enum, (*path, 4, i), name)

    for i, message in enumerate(file.message_type):
        yield from of_message(message, (4, i), "")
    for i, enum in enumerate(file.enum_type):
        yield from of_enum(enum, (5, i), "")
    for i, service in enumerate(file.service):
        yield Commented("service", f".{service.name}", comments.get((6, i), ""), service)
        for j, method in enumerate(service.method):
            name = f".{service.name}.{method.name}"
            yield Commented("rpc", name, comments.get((6, i, 2, j), ""), method)


@pytest.fixture(scope="module")
def elements(files: list[FileDescriptorProto]) -> list[Commented]:
    """Every element of the contract."""
    return [element for file in files for element in walk(file)]


def fields(elements: list[Commented]) -> list[tuple[str, str, FieldDescriptorProto]]:
    """(name, comment, descriptor) of every field."""
    return [(e.name, e.comment, e.element) for e in elements if isinstance(e.element, FieldDescriptorProto)]


def messages(elements: list[Commented]) -> dict[str, DescriptorProto]:
    """Every message by its name."""
    return {e.name[1:]: e.element for e in elements if isinstance(e.element, DescriptorProto)}


def methods(elements: list[Commented]) -> list[tuple[str, str, MethodDescriptorProto]]:
    """(name, comment, descriptor) of every rpc."""
    return [
        (e.name[1:], e.comment, e.element) for e in elements if isinstance(e.element, MethodDescriptorProto)
    ]


def error_reasons(elements: list[Commented]) -> set[str]:
    """The names of ErrorReason as they stand in ErrorInfo.reason."""
    prefix = ".ErrorReason.ERROR_REASON_"
    return {e.name.removeprefix(prefix) for e in elements if e.name.startswith(prefix)} - {"UNSPECIFIED"}


def test_comment_of_every_element_gives_the_chinese_term_then_the_meaning(
    elements: list[Commented],
) -> None:
    """Every element has a comment `中文 · English`: clerk and programmer read one text."""
    assert len(elements) > 1000
    bad = []
    for element in elements:
        term, dot, meaning = element.comment.partition(" · ")
        if not (dot and meaning.strip() and (HAN.search(term) or element.kind == "value")):
            bad.append(element.name)
    assert bad == []


def test_comment_of_every_file_says_what_it_is_about(files: list[FileDescriptorProto]) -> None:
    """Every file opens with a comment."""
    for file in files:
        (syntax,) = [at for at in file.source_code_info.location if list(at.path) == [12]]
        told = syntax.leading_detached_comments or [syntax.leading_comments]
        assert len(told[0]) > 40, file.name


Applies: TypeAlias = Callable[[FieldDescriptorProto], bool]

#: What the comment of a field must say, by what the field is; one of the words is enough.
UNIT_RULES: list[tuple[Applies, tuple[str, ...]]] = [
    (lambda f: f.type_name == ".diya.v1.Money", ("fen (分)",)),
    (lambda f: f.type_name == ".google.protobuf.Timestamp", ("(UTC)",)),
    (lambda f: f.type_name == ".google.type.Date", ("a day in China",)),
    (lambda f: f.name.endswith("sha256") and f.type == f.TYPE_BYTES, ("SHA-256 (32 bytes)",)),
    (lambda f: f.name.endswith("_digest"), ("ayload digest (32 bytes)",)),
    (lambda f: f.name.endswith(("_bytes", "offset")), ("byte",)),
    (lambda f: "m2" in f.name, ("0.01 m²",)),
    (lambda f: "fen" in f.name, ("fen (分)",)),
    (lambda f: f.name.endswith(("unit_code", "unit_codes")), ("28 characters",)),
    (lambda f: f.name.endswith(("_days", "_hours", "_minutes")), ("ays", "Hours", "Minutes")),
    (lambda f: f.name == "page_size", ("0 means",)),
    (lambda f: f.name in {"salt", "hashes", "inclusion_proof", "root"}, ("32 bytes",)),
    (lambda f: f.name == "entry_hash", ("32 bytes",)),
]


def test_field_with_a_unit_or_a_preimage_states_it(elements: list[Commented]) -> None:
    """Money, time, area, size and digest fields state their unit and what is hashed."""
    bad = [
        name
        for name, comment, field in fields(elements)
        for applies, words in UNIT_RULES
        if applies(field) and not any(word in comment for word in words)
    ]
    assert bad == []


def test_number_of_every_kind_is_exact(elements: list[Commented]) -> None:
    """No field is a floating-point number: money, shares and areas are exact."""
    floating = {FieldDescriptorProto.TYPE_DOUBLE, FieldDescriptorProto.TYPE_FLOAT}
    assert [name for name, _, field in fields(elements) if field.type in floating] == []


def test_list_of_anything_is_paged_from_the_first_day(elements: list[Commented]) -> None:
    """Every List call takes page_size and page_token, and answers one list and next_page_token."""
    known = messages(elements)
    lists = [method for _, _, method in methods(elements) if method.name.startswith("List")]
    assert len(lists) >= 7
    for method in lists:
        request = known[method.input_type.removeprefix(PACKAGE)]
        response = known[method.output_type.removeprefix(PACKAGE)]
        asked = {field.name: field.type for field in request.field}
        assert asked.get("page_size") == FieldDescriptorProto.TYPE_INT32, method.name
        assert asked.get("page_token") == FieldDescriptorProto.TYPE_STRING, method.name
        answered = {field.name: field.label for field in response.field}
        assert "next_page_token" in answered, method.name
        lists_in_it = [n for n, label in answered.items() if label == FieldDescriptorProto.LABEL_REPEATED]
        assert len(lists_in_it) == 1, method.name


def test_act_of_every_kind_carries_its_request_id_beside_the_envelope(
    elements: list[Commented],
) -> None:
    """Whatever carries an envelope carries the request_id by which it may be sent again."""
    carriers = [
        (name, {field.name for field in message.field})
        for name, message in messages(elements).items()
        if any(field.type_name == ".diya.v1.Envelope" for field in message.field)
    ]
    assert len(carriers) >= 20
    assert [name for name, names in carriers if "request_id" not in names] == []
    assert [name for name, names in carriers if not names & {"parent", "name"}] == []


def test_submit_of_each_kind_has_the_same_fields(elements: list[Commented]) -> None:
    """The four submits are alike in every field, and SubmitStream takes each of them."""
    known = messages(elements)
    shapes = {
        name: [(f.name, f.number, f.type_name) for f in known[name].field]
        for name in known
        if re.fullmatch(r"Submit(?!Stream)\w+Request", name)
    }
    assert len(shapes) == 4
    assert len({tuple(shape) for shape in shapes.values()}) == 1
    streamed = {f.type_name.removeprefix(PACKAGE) for f in known["SubmitStreamRequest"].field}
    assert set(shapes) <= streamed


def test_operation_of_every_kind_has_one_arm(elements: list[Commented]) -> None:
    """Operation has exactly one arm for each OperationKind, of the same name."""
    arms = {f.name.upper() for f in messages(elements)["Operation"].field if f.HasField("oneof_index")}
    prefix = ".OperationKind.OPERATION_KIND_"
    kinds = {e.name.removeprefix(prefix) for e in elements if e.name.startswith(prefix)}
    kinds = {"CLAIM_FIXING" if kind == "MORTGAGE_CLAIM_FIXING" else kind for kind in kinds}
    assert arms == kinds - {"UNSPECIFIED"}


def test_payload_of_every_kind_names_its_type_once(elements: list[Commented]) -> None:
    """The manifest and every act name a payload type of their own, and carry the header."""
    found: dict[str, str] = {}
    for element in elements:
        message = element.element
        if isinstance(message, DescriptorProto) and re.fullmatch(r"Manifest|\w+Act", message.name):
            if message.name == "DossierAct":
                continue
            (payload_type,) = re.findall(r'"(application/vnd\.diya\.\S+\+protobuf)"', element.comment)
            assert found.setdefault(payload_type, message.name) == message.name
            assert message.field[0].type_name == ".diya.v1.Header", message.name
    assert len(found) == 27


def test_rpc_of_every_service_says_who_may_call_and_what_goes_wrong(
    elements: list[Commented],
) -> None:
    """Each rpc, or its service for all of them, tells who may call and which errors may come."""
    reasons = error_reasons(elements)
    services = {e.name[1:]: e.comment for e in elements if e.kind == "service"}
    for name, comment, _ in methods(elements):
        told = " ".join(f"{services[name.partition('.')[0]]} {comment}".split())
        assert "Caller: " in told, name
        errors = " ".join(re.findall(r"Errors[a-z ]*: (.*)", told))
        assert set(re.findall(r"\b[A-Z_]+\b", errors)) & reasons, name


def test_what_enters_something_says_what_stops_it(
    elements: list[Commented], files: list[FileDescriptorProto]
) -> None:
    """Damage and missing witnesses stop the same methods: who names one names the other, at itself or at its service.

    A replay alone fails on damage and enters nothing.
    """
    stops = {"LEDGER_DAMAGED", "WITNESS_QUORUM_MISSING"}
    named = {
        (e.kind, e.name[1:]): {stop for stop in stops if stop in e.comment}
        for e in elements
        if e.kind in {"service", "rpc"} and not e.name.endswith(".ReplayApplication")
    }
    assert {element for element, told in named.items() if told not in (set(), stops)} == set()
    both = {name for (_, name), told in named.items() if told}
    assert both >= ENTERING, ENTERING - both


#: Services all of whose acts enter something, and methods of the others that do.
ENTERING = {
    *("RegistrationService", "PartyService", "ReviewService", "AdminService", "RegisterService"),
    *("RegisterFeedService.PushFeedAct", "RegisterFeedService.AcknowledgeEvents"),
    "RegistrationService.WatchEvents",
}


def test_act_on_an_application_tells_its_states(elements: list[Commented]) -> None:
    """Each verb on an application tells the states that allow it, and what it leads to."""
    known = messages(elements)
    verbs = 0
    for name, comment, method in methods(elements):
        asked = {field.name for field in known[method.input_type.removeprefix(PACKAGE)].field}
        if {"name", "envelope"} <= asked:
            verbs += 1
            told = " ".join(comment.split())
            assert all(word in told for word in ("States: ", "Leaves", "Result")), name
    assert verbs == 13


def test_reason_named_in_any_comment_is_on_the_closed_list(elements: list[Commented]) -> None:
    """An error that a comment promises exists, under that name."""
    suffixes = r"(?:MALFORMED|MISMATCH|INVALID|EXPIRED|REVOKED|NOT_FOUND|TOO_LARGE|REUSED|STALLED|STALE)"
    for element in elements:
        if element.kind in {"rpc", "service"}:
            named = set(re.findall(rf"\b[A-Z]+(?:_[A-Z]+)*_{suffixes}\b", element.comment))
            assert named <= error_reasons(elements), element.name


REFUSED_WITHOUT_A_TRACE = [
    "ENVELOPE_MALFORMED",
    "ALGORITHM_UNKNOWN",
    "SIGNATURE_INVALID",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_WRONG_PURPOSE",
    "KEY_NOT_REGISTERED",
    "KEY_WITHOUT_ROLE",
    "CHANNEL_NOT_AUTHORISED",
    "HEADER_MISMATCH",
    "ENVELOPE_EXPIRED",
    "VALIDATE_ONLY_MISMATCH",
    "UNIT_CODE_MALFORMED",
    "USCC_MALFORMED",
    "CITIZEN_ID_MALFORMED",
    "FILE_DIGEST_MISMATCH",
    "FILE_SIZE_MISMATCH",
    "FILE_TOO_LARGE",
    "CASE_FILES_TOO_LARGE",
    "FILE_NOT_FOUND",
    "MESSAGE_TOO_LARGE",
    "UPLOAD_STALLED",
    "APPLICATION_NOT_FOUND",
    "STATE_NOT_ALLOWED",
    "REQUEST_ID_REUSED",
    "DEADLINE_PASSED",
    "OVERLOADED",
    "NOT_IMPLEMENTED_KIND",
]


@pytest.mark.parametrize("reason", REFUSED_WITHOUT_A_TRACE)
def test_bad_input_of_each_kind_has_a_reason(elements: list[Commented], reason: str) -> None:
    """Each kind of bad input that is refused without a trace has a reason of its own."""
    assert reason in error_reasons(elements)


def test_java_options_of_every_file_are_set(files: list[FileDescriptorProto]) -> None:
    """A bank generates Java from these files into one package, one class per file."""
    for file in files:
        assert file.options.java_package == "cn.diya.v1", file.name
        assert file.options.java_multiple_files, file.name


def test_generated_code_is_what_the_contract_gives(generator: ModuleType) -> None:
    """gateway/pb is fresh: nobody edited it, and nobody forgot to run the generator."""
    assert generator.stale_files() == []


def test_generated_code_changed_by_hand_is_told(generator: ModuleType, tmp_path: Path) -> None:
    """A generated file that was edited, left out or added is named."""
    generator.generate(tmp_path / "pb")
    folder = tmp_path / "pb" / "diya" / "v1"
    folder.joinpath("common_pb2.py").write_text("", encoding="utf-8")
    folder.joinpath("terms_pb2.py").unlink()
    folder.joinpath("stray_pb2.py").write_text("", encoding="utf-8")
    expected = ["diya/v1/common_pb2.py", "diya/v1/stray_pb2.py", "diya/v1/terms_pb2.py"]
    assert generator.stale_files(tmp_path / "pb") == expected


def test_contract_passes_buf_lint(generator: ModuleType) -> None:
    """The STANDARD and COMMENTS rules of buf hold."""
    assert generator.lint() == ""


def test_contract_breaks_no_caller_of_the_released_one(generator: ModuleType) -> None:
    """Whoever built on the released contract can go on, on the wire and in JSON."""
    assert generator.breaking() == ""
