"""Sealing and judging PDF files: what is written, who may sign, and what a kept verdict is worth
later.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from signing.algorithms import Algorithm
from signing.errors import SealFailed
from signing.pdf import check_pdf, recheck_pdf
from signing.pki import KeyKind, make_key
from signing.problems import FILE_PROBLEMS
from signing.seal import append_signature, seal_pdf
from signing.trust import Purpose, TrustStore
from signing.verdict import FileVerdict
from tests.support.pdf_files import make_pdf
from tests.support.pki import NOW, REGISTRY_USCC, rsa_key, sample_pki, timestamper

DAY = timedelta(days=1)


def _sealed(**options: object) -> bytes:
    signer = sample_pki().registry_seal.signer()
    return seal_pdf(make_pdf(), signer, reason="登簿", at=NOW, **options)  # type: ignore[arg-type]


def test_seal_extends_the_file_and_names_the_registry() -> None:
    """The sealed file begins with the file, and its signer is the registry."""
    sealed = _sealed()
    assert sealed.startswith(make_pdf())
    verdict = check_pdf(sealed, sample_pki().trust, NOW)
    assert verdict.ok
    (seal,) = verdict.signatures
    assert (seal.purpose, seal.identity.number) == (Purpose.REGISTRY, REGISTRY_USCC)
    assert (seal.field, seal.signed_at) == ("Seal", NOW)
    assert seal.covers_whole_document


def test_seal_is_pades_and_touches_no_metadata() -> None:
    """ETSI.CAdES.detached, and the update holds no date or producer of the sealing software."""
    update = _sealed()[len(make_pdf()) :]
    assert b"/ETSI.CAdES.detached" in update
    for word in (b"/Producer", b"/ModDate", b"pyHanko"):
        assert word not in update


@pytest.mark.parametrize("algorithm", [Algorithm.RSA_PSS_SHA256, Algorithm.RSA_PKCS1_SHA256])
def test_seal_by_an_rsa_key_holds(algorithm: Algorithm) -> None:
    """Both paddings of RSA are written and accepted."""
    seal = sample_pki().pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心", key=rsa_key())
    sealed = seal_pdf(make_pdf(), seal.signer(algorithm), reason="登簿", at=NOW)
    verdict = check_pdf(sealed, sample_pki().trust, NOW)
    assert verdict.ok, verdict.problems
    assert verdict.signatures[0].algorithm == algorithm.value
    assert verdict.signatures[0].form == "PAdES-B-B"


def test_seal_by_ed25519_is_refused_with_the_way_out() -> None:
    """Readers do not know Ed25519, so a seal with it would look broken."""
    seal = sample_pki().pki.issue_seal(REGISTRY_USCC, "测", key=make_key(KeyKind.ED25519))
    with pytest.raises(SealFailed, match="P-256, P-384, RSA or SM2"):
        seal_pdf(make_pdf(), seal.signer(), reason="登簿", at=NOW)


@pytest.mark.parametrize("data", [b"", b"nonsense", make_pdf()[:300]])
def test_seal_of_what_is_no_pdf_is_refused(data: bytes) -> None:
    """The library's parser errors come out as our own."""
    with pytest.raises(SealFailed):
        seal_pdf(data, sample_pki().bank.signer(), reason="x", at=NOW)
    with pytest.raises(SealFailed):
        append_signature(data, sample_pki().bank.signer(), reason="x", at=NOW)


@pytest.mark.parametrize("field", ["", "a.b", "x" * 65, "a\nb"])
def test_seal_into_a_malformed_field_is_refused(field: str) -> None:
    """A dot would make a hierarchy of fields, a line end a surprise."""
    with pytest.raises(SealFailed):
        _sealed(field=field)


def test_seal_into_a_taken_field_is_refused() -> None:
    """Two signatures never share a field."""
    with pytest.raises(SealFailed, match="already has"):
        seal_pdf(_sealed(), sample_pki().bank.signer(), reason="x", at=NOW)


def test_signatures_are_appended_one_after_another() -> None:
    """Five parties sign one file; all signatures hold, in the order of signing."""
    sample = sample_pki()
    parties = (sample.seller, sample.spouse, sample.buyer, sample.bank, sample.second_bank)
    data = make_pdf()
    for party in parties:
        data = append_signature(data, party.signer(), reason="同意", at=NOW)
    verdict = check_pdf(data, sample.trust, NOW)
    assert verdict.ok, verdict.problems
    assert [one.name for one in verdict.signatures] == [one.certificate.name for one in parties]
    assert [one.field for one in verdict.signatures] == [f"Signature{n}" for n in range(1, 6)]


async def test_seal_works_inside_a_running_loop() -> None:
    """A caller with an event loop gets the same seal."""
    assert check_pdf(_sealed(), sample_pki().trust, NOW).ok


def test_seal_with_a_time_stamp_proves_when() -> None:
    """A token of a trusted authority says when the seal existed."""
    sealed = _sealed(timestamper=timestamper(NOW))
    (seal,) = check_pdf(sealed, sample_pki().trust, NOW + DAY).signatures
    assert seal.proven_at == NOW


def test_seal_at_a_naive_time_is_a_mistake() -> None:
    """Times without a zone are the caller's mistake."""
    naive = datetime(2026, 11, 2)  # noqa: DTZ001  # the mistake itself
    with pytest.raises(ValueError, match="aware"):
        seal_pdf(make_pdf(), sample_pki().bank.signer(), reason="x", at=naive)
    with pytest.raises(ValueError, match="aware"):
        check_pdf(make_pdf(), sample_pki().trust, naive)


def test_verdict_goes_through_json() -> None:
    """A verdict is kept as JSON and comes back equal."""
    verdict = check_pdf(_sealed(), sample_pki().trust, NOW)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=FileVerdict) == verdict


def test_verdict_is_used_again_while_its_chains_hold() -> None:
    """Without the file: revoked, ended and no longer anchored certificates take the verdict
    back.
    """
    sample = sample_pki()
    verdict = check_pdf(_sealed(), sample.trust, NOW)
    assert recheck_pdf(verdict, sample.trust, NOW + DAY) == ()
    revoked = recheck_pdf(verdict, sample.trust_revoking(sample.registry_seal), NOW + DAY)
    assert [problem.code for problem in revoked] == ["CERTIFICATE_REVOKED"]
    ended = recheck_pdf(verdict, sample.trust, NOW + 800 * DAY)
    assert [problem.code for problem in ended] == ["CERTIFICATE_EXPIRED"]
    dropped = recheck_pdf(verdict, TrustStore({}), NOW + DAY)
    assert [problem.code for problem in dropped] == ["CERTIFICATE_UNKNOWN_ISSUER"]
    assert dropped[0].field == "Seal"


def test_verdict_with_a_proven_time_is_judged_then_for_ever() -> None:
    """Later revocation and expiry do not undo what a time stamp proves."""
    sample = sample_pki()
    verdict = check_pdf(_sealed(timestamper=timestamper(NOW)), sample.trust, NOW)
    later = sample.trust_revoking(sample.registry_seal, since=NOW + DAY)
    assert recheck_pdf(verdict, later, NOW + 800 * DAY) == ()


def test_problem_catalogue_is_bilingual() -> None:
    """Every code has a Chinese and an English sentence."""
    for code, (zh, en) in FILE_PROBLEMS.items():
        assert code.startswith("FILE_")
        assert any("\u4e00" <= one <= "\u9fff" for one in zh)
        assert en.isascii()
