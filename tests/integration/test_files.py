"""Files up and down: whole or not at all, in the uploader's name space."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.cases.effects import ApplicationRecorded, PapersBound
from gateway.cases.model import Application, Kind, State
from gateway.config import Limits
from gateway.pb.diya.v1 import (
    codes_pb2,
    common_pb2,
    envelope_pb2,
    file_service_pb2,
    terms_pb2,
)
from gateway.rpc.errors import Refusal
from gateway.rpc.files import FileService
from gateway.rpc.violations import MalformedRequest
from gateway.storage.files import Incoming
from signing.certificates import Identity, IdentityKind
from signing.problems import file_problem
from signing.trust import Purpose, TrustStore
from signing.verdict import FileVerdict, SignatureVerdict
from tests.support.cases import BANK, OWNER, UNIT
from tests.support.pki import BANK_USCC, SECOND_BANK_USCC
from tests.support.spine import (
    PARENT,
    REGISTRY,
    FakeContext,
    Spine,
    as_bank,
    as_registrar,
    stream_of,
)

pb = file_service_pb2
CONTEXT: Any = FakeContext()
DATA = b"%PDF-1.7 " + bytes(range(256)) * 3000
SHA256 = hashlib.sha256(DATA).hexdigest()


class FakeChecker:
    """Answers what it is told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.problems: tuple[Any, ...] = ()
        self.checked: list[bytes] = []
        self.trusts: list[TrustStore] = []
        self.wait: Callable[[], Any] | None = None

    async def check(
        self, path: Path, *, at: dt.datetime | None = None, signed: Path | None = None
    ) -> FileVerdict:
        """The verdict that the test wants."""
        self.checked.append(path.read_bytes())
        if self.wait is not None:
            await self.wait()
        assert at is not None
        return FileVerdict(
            ok=not self.problems,
            problems=self.problems,
            sha256=hashlib.sha256(self.checked[-1]).hexdigest(),
            size_bytes=len(self.checked[-1]),
            checked_at=at,
            pages=1,
            signatures=(
                SignatureVerdict(
                    field="Signature1",
                    identity=Identity(IdentityKind.NATURAL, "IDCCN", OWNER.id_number),
                    name="张一",
                    fingerprint="aa" * 32,
                    issuer_key_id="bb" * 32,
                    serial="17",
                    algorithm="ECDSA_P256_SHA256",
                    signed_at=None,
                    proven_at=None,
                    judged_at=at,
                    covers_whole_document=True,
                    visible=False,
                    purpose=Purpose.PERSON,
                    chain=(),
                    anchor="cc" * 32,
                ),
            ),
            attachments={"terms.bin": "dd" * 32},
        )

    def set_trust(self, trust: TrustStore) -> None:
        """Remember by which trust files are judged."""
        self.trusts.append(trust)


@pytest.fixture
def checker() -> FakeChecker:
    """A checker that finds nothing wrong."""
    return FakeChecker()


@pytest.fixture
def service(spine: Spine, checker: FakeChecker) -> FileService:
    """The servicer, with a short idle time."""
    return make_service(spine, checker, spine.limits.model_copy(update={"upload_idle_seconds_max": 0.05}))


def make_service(spine: Spine, checker: FakeChecker, limits: Limits) -> FileService:
    """A servicer of the spine."""
    return FileService(
        **spine.shared, files=spine.files, checker=checker, trust_of=spine.trust, limits=limits
    )


def metadata(data: bytes = DATA, **changes: Any) -> pb.UploadFileRequest:
    """The first message of an upload of `data`."""
    fields: dict[str, Any] = {
        "parent": PARENT,
        "sha256": hashlib.sha256(data).digest(),
        "size_bytes": len(data),
        "media_type": "application/pdf",
        **changes,
    }
    return pb.UploadFileRequest(metadata=pb.UploadFileMetadata(**fields))


def chunks(data: bytes = DATA, size: int = 100_000) -> list[pb.UploadFileRequest]:
    """The messages that carry `data`."""
    return [pb.UploadFileRequest(chunk=data[at : at + size]) for at in range(0, len(data), size)]


async def upload(service: FileService, *messages: Any, then: Any = None) -> Any:
    """One upload as the first bank."""
    with as_bank():
        return await service.UploadFile(stream_of(messages, then=then), CONTEXT)


async def download(service: FileService, **request: Any) -> tuple[Any, bytes]:
    """The metadata and the bytes of a download."""
    messages = [m async for m in service.DownloadFile(pb.DownloadFileRequest(**request), CONTEXT)]
    return messages[0].file, b"".join(m.chunk for m in messages[1:])


def left_behind(spine: Spine) -> list[str]:
    """Every file in the store, complete or not."""
    return [p.name for p in (spine.folder / "files").rglob("*") if p.is_file()]


async def test_upload_is_checked_kept_and_downloaded_again(
    spine: Spine, service: FileService, checker: FakeChecker
) -> None:
    """What came up goes down again byte for byte, with the verdict of its check."""
    response = await upload(service, metadata(), *chunks())
    assert not response.already_present
    assert response.file.name == f"{PARENT}/files/{SHA256}"
    assert response.file.verdict.ok
    assert response.file.verdict.signatures[0].id_number == OWNER.id_number
    assert checker.checked == [DATA]
    assert left_behind(spine) == [SHA256]
    with as_bank():
        file, data = await download(service, name=response.file.name)
        assert (file, data) == (response.file, DATA)
        _, rest = await download(service, name=response.file.name, offset=len(DATA) - 5)
        assert rest == DATA[-5:]
        got = await service.GetFile(pb.GetFileRequest(name=response.file.name), CONTEXT)
        assert got.file == response.file


async def test_upload_again_is_answered_without_bytes_or_check(
    service: FileService, checker: FakeChecker
) -> None:
    """The same file of the same institution gets its stored verdict at once, without reading on."""
    first = await upload(service, metadata(), *chunks())
    second = await upload(service, metadata())
    assert second.already_present
    assert second.file == first.file
    assert len(checker.checked) == 1


async def test_upload_whose_check_hit_a_limit_is_checked_again(
    service: FileService, checker: FakeChecker
) -> None:
    """A verdict that tells of our limits, not of the file, is not the last word."""
    checker.problems = (file_problem("FILE_CHECK_LIMIT"),)
    assert not (await upload(service, metadata(), *chunks())).file.verdict.ok
    checker.problems = ()
    second = await upload(service, metadata())
    assert (second.already_present, second.file.verdict.ok) == (True, True)
    assert checker.checked == [DATA, DATA]
    assert (await upload(service, metadata())).file.verdict.ok
    assert len(checker.checked) == 2


async def test_upload_with_problems_is_kept_all_the_same(service: FileService, checker: FakeChecker) -> None:
    """A file with problems is stored and shown: what it is worth as a paper is another question."""
    checker.problems = (file_problem("FILE_ENCRYPTED"),)
    response = await upload(service, metadata(), *chunks())
    assert [p.code for p in response.file.verdict.problems] == ["FILE_ENCRYPTED"]
    with as_bank():
        _, data = await download(service, name=response.file.name)
    assert data == DATA


async def test_file_of_another_institution_is_not_found(service: FileService) -> None:
    """A digest is no ticket: another bank that knows it gets the answer for a file that is not there."""
    await upload(service, metadata(), *chunks())
    name = f"{PARENT}/files/{SHA256}"
    with as_bank(SECOND_BANK_USCC):
        with pytest.raises(Refusal) as known:
            await service.GetFile(pb.GetFileRequest(name=name), CONTEXT)
        with pytest.raises(Refusal) as unknown:
            await service.GetFile(pb.GetFileRequest(name=f"{PARENT}/files/{'0' * 64}"), CONTEXT)
    assert known.value.reason == unknown.value.reason == "FILE_NOT_FOUND"
    assert str(known.value.status()) == str(unknown.value.status())


async def test_upload_of_another_institutions_file_needs_its_bytes(
    service: FileService, checker: FakeChecker
) -> None:
    """Declaring the digest of somebody else's file brings nothing: the bytes have to come."""
    await upload(service, metadata(), *chunks())
    with as_bank(SECOND_BANK_USCC), pytest.raises(Refusal) as caught:
        await service.UploadFile(stream_of([metadata()]), CONTEXT)
    assert caught.value.reason == "FILE_SIZE_MISMATCH"
    with as_bank(SECOND_BANK_USCC):
        response = await service.UploadFile(stream_of([metadata(), *chunks()]), CONTEXT)
    assert not response.already_present
    assert len(checker.checked) == 2


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "UPLOAD_INCOMPLETE"),
        ([metadata(size_bytes=len(DATA) - 1), *chunks()], "FILE_SIZE_MISMATCH"),
        ([metadata(size_bytes=len(DATA) + 1), *chunks()], "FILE_SIZE_MISMATCH"),
        ([metadata(), *chunks(DATA[:-1] + b"!")], "FILE_DIGEST_MISMATCH"),
        ([metadata(size_bytes=21 * 1024 * 1024)], "FILE_TOO_LARGE"),
        ([metadata(parent="registries/nowhere")], "REGISTRY_NOT_FOUND"),
    ],
)
async def test_upload_other_than_declared_leaves_nothing(
    spine: Spine, service: FileService, messages: list[Any], reason: str
) -> None:
    """Whatever is wrong with an upload has its own reason, and nothing of it remains."""
    with pytest.raises(Refusal) as caught:
        await upload(service, *messages)
    assert caught.value.reason == reason
    assert left_behind(spine) == []
    assert await spine.queries.file(REGISTRY, BANK_USCC, SHA256) is None


@pytest.mark.parametrize(
    "messages",
    [
        [*chunks()],
        [metadata(sha256=b"short")],
        [metadata(size_bytes=0)],
        [metadata(media_type="text/html")],
        [metadata(parent="jiangyin")],
        [metadata(), metadata()],
        [metadata(), pb.UploadFileRequest(chunk=b"")],
        [metadata(), pb.UploadFileRequest()],
    ],
)
async def test_upload_malformed_leaves_nothing(
    spine: Spine, service: FileService, messages: list[Any]
) -> None:
    """A message that the contract does not allow is named by its field, and nothing remains."""
    with pytest.raises(MalformedRequest):
        await upload(service, *messages)
    assert left_behind(spine) == []


async def test_upload_that_stalls_ends_and_leaves_nothing(spine: Spine, service: FileService) -> None:
    """A sender who stops sending is let go after the idle time, and told to begin again."""
    with pytest.raises(Refusal) as caught:
        await upload(service, metadata(), *chunks()[:2], then=asyncio.Event().wait)
    assert caught.value.reason == "UPLOAD_STALLED"
    assert left_behind(spine) == []


async def test_upload_cancelled_in_a_write_leaves_nothing(
    spine: Spine, service: FileService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller who goes away while a chunk is written: the write ends first, then the file is gone."""
    writing, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    append = Incoming.append

    def slow_append(incoming: Incoming, chunk: bytes) -> None:
        loop.call_soon_threadsafe(writing.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(timeout=10)
        append(incoming, chunk)

    monkeypatch.setattr(Incoming, "append", slow_append)
    task = asyncio.create_task(upload(service, metadata(), *chunks()))
    await writing.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_behind(spine) == []


async def test_upload_cancelled_in_its_check_leaves_nothing(
    spine: Spine, service: FileService, checker: FakeChecker
) -> None:
    """A caller who goes away during the check leaves no file and no row."""
    checking = asyncio.Event()

    async def wait() -> None:
        checking.set()
        await asyncio.Event().wait()

    checker.wait = wait
    task = asyncio.create_task(upload(service, metadata(), *chunks()))
    await checking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_behind(spine) == []
    assert await spine.queries.file(REGISTRY, BANK_USCC, SHA256) is None
    checker.wait = None
    assert not (await upload(service, metadata(), *chunks())).already_present


async def test_image_is_judged_by_its_first_bytes(service: FileService, checker: FakeChecker) -> None:
    """An image is no document: only whether it is one is looked at, not by the PDF checker."""
    jpeg = b"\xff\xd8\xff\xe0" + bytes(10)
    good = await upload(service, metadata(jpeg, media_type="image/jpeg"), *chunks(jpeg))
    bad = await upload(service, metadata(media_type="image/jpeg"), *chunks())
    assert good.file.verdict.ok
    assert [p.code for p in bad.file.verdict.problems] == ["FILE_NOT_JPEG"]
    assert checker.checked == []


async def test_checks_by_other_trust_wait_for_those_under_way(spine: Spine, checker: FakeChecker) -> None:
    """While a file is judged by one registry's trust, no file of another registry changes that trust."""
    trusts = {"one": TrustStore({}), "two": TrustStore({})}
    using = trusts["one"]
    service = FileService(
        **spine.shared, files=spine.files, checker=checker, trust_of=lambda _: using, limits=spine.limits
    )
    checking, go_on = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        checking.set()
        await go_on.wait()

    checker.wait = wait
    first = asyncio.create_task(upload(service, metadata(), *chunks()))
    await checking.wait()
    using = trusts["two"]
    other = DATA + b"2"
    second = asyncio.create_task(upload(service, metadata(other), *chunks(other)))
    third = DATA + b"3"
    while not spine.files._incoming.is_dir() or len(list(spine.files._incoming.iterdir())) < 2:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert checker.trusts == [trusts["one"]]
    go_on.set()
    await asyncio.gather(first, second)
    assert checker.trusts == [trusts["one"], trusts["two"]]
    await upload(service, metadata(third), *chunks(third))
    assert checker.trusts == [trusts["one"], trusts["two"]]


# -- files of a case -------------------------------------------------------------------------------------------------


def case(spine: Spine, *files: envelope_pb2.FileReference) -> str:
    """An accepted case of both banks whose manifest names `files`, filed by the first one; its name."""
    now = spine.clock()
    manifest = envelope_pb2.Manifest(
        header=envelope_pb2.Header(
            registry=REGISTRY,
            channel_institution=BANK_USCC,
            applicant_institution=BANK_USCC,
            clerk=common_pb2.Clerk(name="经办", employee_number="1"),
            request_id="0197b1c4-0000-7000-8000-000000000001",
        ),
        kind=codes_pb2.APPLICATION_KIND_MORTGAGE_RELEASE,
        terms=_release_terms().SerializeToString(),
        files=files,
    )
    manifest.header.created_at.FromDatetime(now)
    manifest.header.not_after.FromDatetime(now + dt.timedelta(hours=1))
    application = Application(
        registry=REGISTRY,
        application_id="0197b1c4-0000-7000-8000-0000000000aa",
        kind=Kind.MORTGAGE_RELEASE,
        operations=("MORTGAGE_RELEASE",),
        units=(UNIT,),
        channel_institution=BANK_USCC,
        applicant_institution=BANK_USCC,
        institutions=(BANK_USCC, SECOND_BANK_USCC),
        request_id=manifest.header.request_id,
        payload_sha256="00" * 32,
        terms_sha256="00" * 32,
        state=State.IN_REVIEW,
        submitted_at=now,
        submitted_index=1,
        last_index=1,
        accepted_at=now,
        accepted_index=1,
    )
    bound = PapersBound(application_id=application.application_id, papers=(SHA256,))
    spine.enter(
        ApplicationRecorded(application=application),
        bound,
        payload=manifest.SerializeToString(),
        payload_type="application/vnd.diya.manifest.v1+protobuf",
        application=application.name,
    )
    return application.name


def _release_terms() -> terms_pb2.Terms:
    terms = terms_pb2.Terms(registry=REGISTRY, version=1)
    terms.units.add(unit_code=UNIT)
    bank = terms.parties.add(id="bank")
    bank.person.name = BANK.name
    bank.person.identity.kind = codes_pb2.ID_KIND_USCC
    bank.person.identity.number = BANK_USCC
    bank.person.type = codes_pb2.HOLDER_TYPE_ENTERPRISE
    operation = terms.operations.add(applicants=["bank"], reason="设立抵押权")
    release = operation.mortgage_release
    release.ground = 1
    release.mortgage.certificate.number = "房他证江阴字第42号"
    release.mortgage.certificate.scheme = common_pb2.CERTIFICATE_SCHEME_LEGACY
    return terms


def reference(*readers: str) -> envelope_pb2.FileReference:
    """The uploaded file as a manifest names it."""
    return envelope_pb2.FileReference(
        sha256=bytes.fromhex(SHA256), size_bytes=len(DATA), paper_code="EXTINCTION", readers=readers
    )


async def test_file_of_a_case_is_read_by_its_institutions_through_it(
    spine: Spine, service: FileService
) -> None:
    """A case lets its institutions read its files, with the identity numbers of the signers masked."""
    name = case(spine, reference())
    await upload(service, metadata(), *chunks())
    with as_bank(SECOND_BANK_USCC):
        file, data = await download(service, name=f"{PARENT}/files/{SHA256}", application=name)
    assert data == DATA
    assert file.verdict.signatures[0].id_number == "99**************34"


async def test_file_with_readers_is_read_by_no_other(spine: Spine, service: FileService) -> None:
    """Where the signed manifest names readers, another institution of the case does not read the file."""
    name = case(spine, reference(BANK_USCC))
    await upload(service, metadata(), *chunks())
    with as_bank(SECOND_BANK_USCC), pytest.raises(Refusal) as caught:
        await service.GetFile(pb.GetFileRequest(name=f"{PARENT}/files/{SHA256}", application=name), CONTEXT)
    assert caught.value.reason == "FILE_NOT_FOUND"


async def test_file_is_read_by_a_registrar_only_as_a_paper_of_a_case(
    spine: Spine, service: FileService
) -> None:
    """A registrar reads the files of cases, whole, and nothing that no case names."""
    await upload(service, metadata(), *chunks())
    request = pb.GetFileRequest(name=f"{PARENT}/files/{SHA256}")
    with as_registrar(), pytest.raises(Refusal):
        await service.GetFile(request, CONTEXT)
    name = case(spine, reference(BANK_USCC))
    with as_registrar():
        by_paper = await service.GetFile(request, CONTEXT)
        request.application = name
        by_case = await service.GetFile(request, CONTEXT)
    assert by_paper == by_case
    assert by_paper.file.verdict.signatures[0].id_number == OWNER.id_number


async def test_file_bound_by_digest_alone_is_not_read_by_a_registrar(
    spine: Spine, service: FileService
) -> None:
    """What counts is the signed manifest: a file that it does not name is not of the case."""
    await upload(service, metadata(), *chunks())
    name = case(spine)
    with as_registrar(), pytest.raises(Refusal) as caught:
        await service.GetFile(pb.GetFileRequest(name=f"{PARENT}/files/{SHA256}", application=name), CONTEXT)
    assert caught.value.reason == "FILE_NOT_FOUND"
