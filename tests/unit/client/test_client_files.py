"""Files: skipped when present, begun again when cut short, never kept with other bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2
from grpc.aio import AioRpcError, Metadata

from gateway.client.client import DiyaClient
from gateway.client.ending import LOST
from gateway.client.errors import DownloadInvalid, InputError, Malformed, NotNow, Unavailable
from gateway.client.status import error_of_call
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1.file_service_pb2_grpc import add_FileServiceServicer_to_server
from tests.unit.client.fake_gateway import FakeFiles, abort, refusal
from tests.unit.client.sample_case import Naps, serving, session_on

STALLED = refusal(code_pb2.ABORTED, "UPLOAD_STALLED")
DATA = bytes(range(256)) * 3000  # three chunks


@pytest.fixture
def files() -> FakeFiles:
    """A gateway without files."""
    return FakeFiles()


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A paper to upload."""
    path = tmp_path / "contract.pdf"
    path.write_bytes(DATA)
    return path


def serve(files: FakeFiles):  # type: ignore[no-untyped-def]  # what `serving` gives
    """A connection to it."""
    return serving((add_FileServiceServicer_to_server, files))


async def test_upload_tells_progress_and_names_the_paper(files: FakeFiles, paper: Path) -> None:
    """An upload reports how far it is and gives the reference for the manifest."""
    told: list[tuple[int, int]] = []
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        uploaded = await client.upload_file(paper, progress=lambda *at: told.append(at))
    assert told[0] == (0, len(DATA))
    assert told[-1] == (len(DATA), len(DATA))
    reference = uploaded.as_paper("MORTGAGE_CONTRACT", parties=("owner",))
    assert reference.sha256 == hashlib.sha256(DATA).digest()
    assert (reference.size_bytes, list(reference.parties)) == (len(DATA), ["owner"])


async def test_upload_of_a_known_file_sends_nothing(files: FakeFiles, paper: Path) -> None:
    """A file that the gateway has is not sent again."""
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        await client.upload_file(paper)
        again = await client.upload_file(paper)
    assert files.uploads == 1
    assert again.size_bytes == len(DATA)


async def test_upload_of_a_known_file_is_sent_again_where_it_may_be_judged_anew(
    files: FakeFiles, paper: Path
) -> None:
    """One with a problem, which may have been the gateway's; one that is said to be something else now."""
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        files.finds_good = False
        await client.upload_file(paper)
        await client.upload_file(paper)
        assert files.uploads == 2
        files.finds_good = True
        await client.upload_file(paper, media_type="application/ofd")
    assert files.uploads == 3


async def test_upload_cut_short_begins_again(files: FakeFiles, paper: Path) -> None:
    """A stalled upload is started again under its digest, from the first byte."""
    files.failures = [STALLED, refusal(code_pb2.ABORTED, "UPLOAD_INCOMPLETE")]
    told: list[int] = []
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        await client.upload_file(paper, progress=lambda done, _: told.append(done))
    assert files.uploads == 3
    assert told.count(0) == 3
    assert list(files.files.values()) == [DATA]


async def test_upload_that_stays_cut_short_raises(files: FakeFiles, paper: Path) -> None:
    """When every attempt is cut short the error is raised."""
    files.failures = [STALLED] * 9
    naps = Naps()
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({}), naps=naps))
        with pytest.raises(NotNow):
            await client.upload_file(paper)
    assert (files.uploads, len(naps.taken)) == (3, 2)


@pytest.mark.parametrize("name", ["missing.pdf", "empty.pdf", "notes.txt"])
async def test_upload_of_what_cannot_be_sent_is_refused_here(
    files: FakeFiles, tmp_path: Path, name: str
) -> None:
    """A file that is missing, empty or of an unknown kind never reaches the gateway."""
    (tmp_path / "empty.pdf").touch()
    (tmp_path / "notes.txt").write_text("notes")
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        with pytest.raises(InputError):
            await client.upload_file(tmp_path / name)
    assert files.uploads == 0


async def test_download_goes_on_where_it_was_cut(files: FakeFiles, paper: Path, tmp_path: Path) -> None:
    """A download that breaks goes on from the byte it had reached."""
    files.cut_downloads = 2
    out = tmp_path / "out.pdf"
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        uploaded = await client.upload_file(paper)
        await client.download_file(uploaded.sha256, out)
    assert out.read_bytes() == DATA
    assert files.offsets == [0, len(DATA) // 2, len(DATA) * 3 // 4]


async def test_download_of_other_bytes_is_not_kept(files: FakeFiles, paper: Path, tmp_path: Path) -> None:
    """Bytes with another digest never get the file's name."""
    files.lies = True
    out = tmp_path / "out.pdf"
    async with serve(files) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        uploaded = await client.upload_file(paper)
        with pytest.raises(DownloadInvalid):
            await client.download_file(uploaded.sha256, out)
    assert [path.name for path in tmp_path.iterdir()] == ["contract.pdf"]


class RefusesEarly(FakeFiles):
    """Ends every upload at its first message, while the client is still sending."""

    async def UploadFile(self, requests: Any, context: Any) -> Any:
        """Refuse by the declared size."""
        async for _ in requests:
            await abort(context, refusal(code_pb2.INVALID_ARGUMENT, "FILE_TOO_LARGE"))


async def test_upload_refused_while_sending_keeps_the_reason(tmp_path: Path) -> None:
    """A gateway that ends an upload early is heard, whatever becomes of the writes in hand."""
    path = tmp_path / "large.pdf"
    path.write_bytes(DATA * 8)
    async with serve(RefusesEarly()) as connection:
        client = DiyaClient(session_on(connection, LedgerTrust({})))
        for _ in range(20):
            with pytest.raises(Malformed) as caught:
                await client.upload_file(path)
            assert caught.value.reason == "FILE_TOO_LARGE"


def test_status_that_the_library_lost_may_be_retried() -> None:
    """Where even the first status is unknown, the call counts as cut short and not as a defect."""
    lost = AioRpcError(grpc.StatusCode.INTERNAL, Metadata(), Metadata(), LOST)
    error = error_of_call(lost)
    assert isinstance(error, Unavailable)
    assert error.may_retry
