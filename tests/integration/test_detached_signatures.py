"""Photographs, scans and OFD with their signatures beside them: uploaded, checked, and counted by the law."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.app import utc_now
from gateway.client import manifest as build
from gateway.client.files import UploadedFile
from gateway.pb.diya.v1 import outcome_pb2
from gateway.rpc.replay import replay_case
from signing.cms_sign import sign_cms
from signing.pki import Credential
from tests.support.filing import Filing
from tests.support.pdf_files import make_pdf
from tests.support.signed_papers import signed
from tests.support.stage import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTRACT = "MORTGAGE_CONTRACT"


def scan() -> bytes:
    """A TIFF that exists once in the world, as far as its first bytes tell."""
    return b"II*\0 a scanned contract " + str(uuid.uuid4()).encode()


def signature(data: bytes, *signers: Credential) -> bytes:
    """A CMS file beside it."""
    return sign_cms(data, [one.signer() for one in signers], utc_now())


class Desk:
    """A first mortgage whose contract is a scan, with what its client uploaded."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town, self._folder = town, folder
        self.filing: Filing = town.mortgage().sign()
        del self.filing.papers[CONTRACT]
        self.people = [town.citizen(one) for one in self.filing.owners]
        self.bank = town.key(self.filing.applicant)

    async def begin(self) -> Desk:
        """The other papers are there."""
        await self.filing.upload()
        return self

    async def upload(self, name: str, data: bytes, signs: bytes = b"") -> UploadedFile:
        """One file by the client, its kind by its suffix."""
        path = self._folder / name
        path.write_bytes(data)
        client = await self.town.client(self.filing.channel)
        return await client.upload_file(path, signs=signs)

    def name(self, uploaded: UploadedFile, **changes: Any) -> None:
        """Named in the manifest as the contract, or as the contract's signature."""
        self.filing.references.append(uploaded.as_paper(CONTRACT))

    async def answer(self) -> tuple[str, list[str]]:
        """The result and the findings about the contract."""
        outcome = await self.filing.send()
        self.application = outcome.application
        name = outcome_pb2.OutcomeResult.Name(outcome.result).removeprefix("OUTCOME_RESULT_")
        return name, [one.code for one in outcome.findings if one.file.startswith(CONTRACT)]


@pytest_asyncio.fixture(loop_scope="session")
async def desk(town: Town, tmp_path: Path) -> Desk:
    """A case that lacks its contract."""
    return await Desk(town, tmp_path).begin()


async def test_scan_with_signatures_beside_it_is_a_signed_contract(desk: Desk) -> None:
    """The owners sign one file, the bank another; the case is booked as with a PDF, and each signer is told."""
    data = scan()
    contract = await desk.upload("contract.tif", data)
    assert contract.file.verdict.ok
    desk.name(contract)
    for name, signers in (("people.p7s", desk.people), ("bank.p7s", [desk.bank])):
        beside = await desk.upload(name, signature(data, *signers), contract.sha256)
        assert beside.file.verdict.ok, beside.problems
        assert beside.file.verdict.signed_sha256 == contract.sha256
        assert {one.form for one in beside.file.verdict.signatures} == {"CAdES-B-B"}
        assert {one.algorithm for one in beside.file.verdict.signatures} == {"ECDSA_P256_SHA256"}
        desk.name(beside)
    assert await desk.answer() == ("BOOKED", [])
    registry, case = desk.filing.registry, desk.application.rpartition("/")[2]
    again = replay_case(desk.town.gateway._reader, desk.town.gateway.ledger, registry, case)
    assert again
    assert all(one.same for one in again), again


async def test_scan_without_the_banks_signature_is_refused_by_the_law(desk: Desk) -> None:
    """As a PDF that one party did not sign."""
    data = scan()
    contract = await desk.upload("contract.tif", data)
    desk.name(contract)
    desk.name(await desk.upload("people.p7s", signature(data, *desk.people), contract.sha256))
    assert await desk.answer() == ("NOT_ACCEPTED", ["C-SIGNATURE"])


async def test_signature_over_another_file_is_found_at_its_upload(desk: Desk) -> None:
    """It is kept with what is wrong, and as the contract's signature it is C-FILE."""
    data = scan()
    contract = await desk.upload("contract.tif", data)
    beside = await desk.upload("all.p7s", signature(scan(), *desk.people, desk.bank), contract.sha256)
    assert [one.code for one in beside.problems] == ["SIGNED_CONTENT_CHANGED"] * (len(desk.people) + 1)
    desk.name(contract)
    desk.name(beside)
    name, codes = await desk.answer()
    assert name == "NOT_ACCEPTED"
    assert set(codes) == {"C-FILE", "C-SIGNATURE"}


async def test_signature_is_judged_again_over_the_file_that_it_is_over(desk: Desk) -> None:
    """Uploaded first with the wrong file named, then with the right one."""
    data = scan()
    contract, other = await desk.upload("contract.tif", data), await desk.upload("other.tif", scan())
    made = signature(data, *desk.people, desk.bank)
    assert (await desk.upload("all.p7s", made, other.sha256)).problems
    again = await desk.upload("all.p7s", made, contract.sha256)
    assert again.file.verdict.ok
    assert again.file.verdict.signed_sha256 == contract.sha256


async def test_signature_checked_over_one_file_does_not_sign_another(desk: Desk) -> None:
    """The manifest says that it is over the contract; its check says over which file it is."""
    contract = await desk.upload("contract.tif", scan())
    other_data = scan()
    other = await desk.upload("other.tif", other_data)
    beside = await desk.upload("all.p7s", signature(other_data, *desk.people, desk.bank), other.sha256)
    assert beside.file.verdict.ok
    desk.name(contract)
    desk.filing.references.append(
        build.file_reference(CONTRACT, beside.sha256, beside.size_bytes, signs=contract.sha256)
    )
    name, codes = await desk.answer()
    assert name == "NOT_ACCEPTED"
    assert set(codes) == {"C-FILE", "C-SIGNATURE"}


async def test_signed_pdf_named_as_a_signature_signs_nothing(desk: Desk) -> None:
    """A PDF that everybody signed is no detached signature over a scan that nobody saw."""
    contract = await desk.upload("contract.tif", scan())
    paper = await desk.upload("paper.pdf", signed(make_pdf(), *desk.people, desk.bank))
    assert paper.file.verdict.ok
    desk.name(contract)
    desk.filing.references.append(
        build.file_reference(CONTRACT, paper.sha256, paper.size_bytes, signs=contract.sha256)
    )
    name, codes = await desk.answer()
    assert name == "NOT_ACCEPTED"
    assert set(codes) == {"C-FILE", "C-SIGNATURE"}


async def test_signature_is_not_the_paper_that_it_signs(desk: Desk) -> None:
    """Filed as the contract itself, the file of a signature over something else is a paper that nobody signed."""
    data = scan()
    other = await desk.upload("other.tif", data)
    beside = await desk.upload("all.p7s", signature(data, *desk.people, desk.bank), other.sha256)
    assert beside.file.verdict.ok
    desk.filing.references.append(build.file_reference(CONTRACT, beside.sha256, beside.size_bytes))
    name, codes = await desk.answer()
    assert name == "NOT_ACCEPTED"
    assert set(codes) == {"C-FILE", "C-SIGNATURE"}


async def test_file_that_is_signed_comes_first(desk: Desk) -> None:
    """A signature over a file that is not there cannot be checked, and is not kept; nor is one without its file."""
    for signs, reason in ((bytes(32), "FILE_NOT_FOUND"), (b"", "FIELD_INVALID")):
        with pytest.raises(Exception) as caught:
            await desk.upload("all.p7s", signature(scan(), desk.bank), signs)
        assert getattr(caught.value, "reason", "") == reason


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("photo.jpg", b"\xff\xd8\xff photo", ""),
        ("photo.jpg", b"GIF89a", "FILE_NOT_JPEG"),
        ("scan.tiff", b"MM\0* scan", ""),
        ("scan.tiff", b"MM*\0 scan", "FILE_NOT_TIFF"),
        ("data.xml", b"<?xml version='1.0'?><a/>", ""),
        ("data.xml", b"a", "FILE_NOT_XML"),
        ("data.xml", b"<a xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>", "FILE_KIND_NOT_CHECKED"),
        ("paper.ofd", b"PK\x03\x04 OFD.xml", ""),
        ("paper.ofd", b"<OFD/>", "FILE_NOT_OFD"),
        ("paper.ofd", b"PK\x03\x04" + bytes(70_000) + b"Doc_0/Signs/Signatures.xml", "FILE_KIND_NOT_CHECKED"),
    ],
)
async def test_kinds_of_files_are_known_by_how_they_begin(
    desk: Desk, name: str, data: bytes, code: str
) -> None:
    """And what bears signatures inside that nobody verified is no proper file."""
    uploaded = await desk.upload(name, data + str(uuid.uuid4()).encode())
    assert [one.code for one in uploaded.problems] == ([code] if code else [])


async def test_same_bytes_are_judged_as_what_they_are_said_to_be_now(desk: Desk) -> None:
    """Uploaded under a wrong suffix first: the right one is looked at anew, and is what the file is from then on."""
    data = scan()
    wrong = await desk.upload("contract.jpg", data)
    assert [one.code for one in wrong.problems] == ["FILE_NOT_JPEG"]
    right = await desk.upload("contract.tif", data)
    assert right.file.verdict.ok
    assert right.file.media_type == "image/tiff"
