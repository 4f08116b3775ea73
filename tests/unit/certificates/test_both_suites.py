"""A registry seals in either suite or in both: each seal is judged by its suite, and what is not judged is said."""

from __future__ import annotations

import datetime as dt
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pypdf
import pytest

from gateway.certificates.content import encode_content
from gateway.certificates.seal import CertificateSealer
from gateway.certificates.seal_protocol import SealKey
from gateway.certificates.seal_terms import SealTermsUnreadable, read_demanded_suites
from gateway.certificates.verdict import CertificateVerdict, Result, Step
from gateway.certificates.verify import verify_certificate
from gateway.register.authority import SealTerm
from signing import sm2
from signing.algorithms import Suite
from signing.envelope import envelope_from_json, envelope_to_json
from signing.pdf import check_pdf
from signing.pki import KeyKind, make_key
from signing.seal import NATIONAL_SEAL_FIELD, append_signature, seal_pdf
from signing.signer import sign_envelope
from signing.timestamp import decode_response, encode_request
from signing.timestamp_authority import TimestampAuthority
from signing.trust import Purpose
from signing.trust_directory import write_trust
from signing.verify import verify_envelope
from tests.support.certificates import (
    VERIFICATION_URL,
    VKEYS,
    content,
    national_seal,
    proof_for,
    seal,
    seal_twice,
    sealed,
    sealed_twice,
    unsealed,
)
from tests.support.pki import NOW, REGISTRY_USCC, sample_pki, social_credit_code

pytestmark = pytest.mark.skipif(not sm2.AVAILABLE, reason="the extra sm is not installed")

BOTH = {"r1": frozenset(Suite)}


def verify(pdf: bytes, **settings: Any) -> CertificateVerdict:
    """Judge by the sample PKI and the sample log's key."""
    return verify_certificate(pdf, trust=sample_pki().trust, vkeys=VKEYS, at=NOW, **settings)


def failed(pdf: bytes, **settings: Any) -> dict[Step, str]:
    """Failing checks with their codes."""
    return {check.step: check.code for check in verify(pdf, **settings).failed}


# -- what a verifier says ----------------------------------------------------------------------------------------------


def test_both_seals_are_judged_and_the_international_one_comes_first() -> None:
    """It is the one that foreign readers show; nothing is remarked on."""
    verdict = verify(sealed_twice())
    assert verdict.sound
    assert verdict.suites == (Suite.INTERNATIONAL, Suite.NATIONAL)
    assert verdict.of(Step.SEAL).code == ""
    seals = check_pdf(sealed_twice(), sample_pki().trust, NOW).signatures
    assert [one.field for one in seals] == ["Seal", NATIONAL_SEAL_FIELD]


def test_either_seal_alone_is_enough_unless_both_are_demanded() -> None:
    """Of one suite or of the other; a demand is for a registry by name."""
    national = seal(unsealed(), national_seal())
    for pdf, suite in ((sealed(), Suite.INTERNATIONAL), (national, Suite.NATIONAL)):
        assert verify(pdf).sound
        assert verify(pdf).suites == (suite,)
        assert verify(pdf, suites={"r1": frozenset({suite})}).sound
        assert verify(pdf, suites={"elsewhere": frozenset(Suite)}).sound
        assert failed(pdf, suites=BOTH) == {Step.ISSUER: "SEAL_SUITE_MISSING"}
    assert verify(sealed_twice(), suites=BOTH).sound


def test_national_seal_cut_off_leaves_what_a_demand_finds() -> None:
    """The first revision is a whole file with a good seal; whoever knows that there must be two sees it."""
    whole = sealed_twice()
    first = whole[: whole.index(b"%%EOF", whole.index(b"ETSI.CAdES")) + len(b"%%EOF\n")]
    assert verify(first).suites == (Suite.INTERNATIONAL,)
    assert failed(first, suites=BOTH) == {Step.ISSUER: "SEAL_SUITE_MISSING"}


def test_two_seals_of_one_suite_are_refused() -> None:
    """Two are one of each, or somebody added one."""
    other = sample_pki().pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心")
    assert failed(seal_twice(unsealed(), second=other))[Step.SEAL] == "SEAL_COUNT"
    again = sample_pki().pki.issue_seal(REGISTRY_USCC, "测试市不动产登记中心", key=make_key(KeyKind.SM2))
    assert failed(seal_twice(unsealed(), first=national_seal(), second=again))[Step.SEAL] == "SEAL_COUNT"


def test_second_seal_of_another_authority_is_refused() -> None:
    """Also where its own chain holds."""
    stranger = sample_pki().pki.issue_seal(
        social_credit_code("MA00XTHER"), "别处登记中心", key=make_key(KeyKind.SM2)
    )
    assert failed(seal_twice(unsealed(), second=stranger)) == {Step.ISSUER: "ISSUER_NOT_SEALER"}


def test_second_seal_of_no_registry_is_refused() -> None:
    """A bank's good SM2 signature is no seal."""
    bank = sample_pki().pki.issue_institution(REGISTRY_USCC, "某行", key=make_key(KeyKind.SM2))
    assert failed(seal_twice(unsealed(), second=bank)) == {Step.SEAL_CHAIN: "SEAL_WRONG_PURPOSE"}


def test_after_both_seals_nothing_may_be_added() -> None:
    """The second seal locks the file: a third signature breaks it, and viewers are told so."""
    fields = pypdf.PdfReader(io.BytesIO(sealed_twice())).root_object["/AcroForm"]["/Fields"]
    [lock] = [one["/Lock"].get_object() for one in fields if one["/T"] == NATIONAL_SEAL_FIELD]
    assert (lock["/Action"], lock["/P"]) == ("/All", 1)
    third = append_signature(sealed_twice(), sample_pki().registry_seal.signer(), reason="加", at=NOW)
    assert failed(third)[Step.SEAL] == "FILE_CHANGED_AFTER_SIGNING"
    before = seal_pdf(
        unsealed(),
        sample_pki().registry_seal.signer(),
        reason="测试",
        at=NOW,
        certify=True,
        followed_by=NATIONAL_SEAL_FIELD,
    )
    elsewhere = append_signature(before, sample_pki().registry_seal.signer(), reason="加", at=NOW)
    assert failed(elsewhere)[Step.SEAL] == "SEAL_COUNT"


def test_changed_national_seal_is_refused_though_the_first_one_holds() -> None:
    """No reader with SM2 believes half a certificate."""
    data = bytearray(sealed_twice())
    value = data.rindex(b"/Contents <") + len(b"/Contents <")
    end = bytes(data).index(b"00000000", value)
    at = end - 8
    data[at] = ord("0") if data[at] != ord("0") else ord("1")
    assert Step.SEAL in failed(bytes(data))


def test_time_of_either_key_counts() -> None:
    """A national key that was declared compromised is found like the first one."""
    since = NOW - dt.timedelta(days=1)
    key_id = national_seal().certificate.key_id
    seals = {key_id: SealTerm(key_id=key_id, compromised_since=since)}
    assert failed(sealed_twice(), seals=seals) == {Step.SEAL_CHAIN: "SEAL_KEY_COMPROMISED"}


def test_demanded_suites_are_read_from_the_trust_folder(tmp_path: Path) -> None:
    """By registry; a word that is none is named with its file."""
    (tmp_path / "taizhou.suites").write_text("NATIONAL\nINTERNATIONAL\n")
    (tmp_path / "jiangyin.suites").write_text("INTERNATIONAL\n")
    assert read_demanded_suites(tmp_path) == {
        "taizhou": frozenset(Suite),
        "jiangyin": frozenset({Suite.INTERNATIONAL}),
    }
    (tmp_path / "jiangyin.suites").write_text("SM2\n")
    with pytest.raises(
        SealTermsUnreadable, match=r"jiangyin\.suites: each line is INTERNATIONAL or NATIONAL"
    ):
        read_demanded_suites(tmp_path)


# -- the sealing process -----------------------------------------------------------------------------------------------


def sealer(folder: Path, *stems: str) -> CertificateSealer:
    """A sealer whose registry r1 has these seals."""
    sample_pki().registry_seal.write(folder, "p256")
    national_seal().write(folder, "sm2")
    keys = tuple(
        SealKey(key=str(folder / f"{stem}.key.pem"), chain_path=str(folder / f"{stem}.pem")) for stem in stems
    )
    return CertificateSealer(
        {"r1": keys}, trust=sample_pki().trust, vkeys=VKEYS, verification_url=VERIFICATION_URL
    )


@pytest.mark.parametrize(
    ("stems", "suites"),
    [
        (("p256",), [Suite.INTERNATIONAL]),
        (("sm2",), [Suite.NATIONAL]),
        (("p256", "sm2"), [Suite.INTERNATIONAL, Suite.NATIONAL]),
    ],
)
async def test_sealer_puts_on_every_seal_of_the_registry(
    tmp_path: Path, stems: tuple[str, ...], suites: list[Suite]
) -> None:
    """On a certificate and on a statement."""
    data = encode_content(content())
    async with sealer(tmp_path, *stems) as running:
        made = await running.seal(data, proof_for(data), at=NOW)
        statement = await running.sign("r1", "a/b", b"{}", at=NOW)
    assert made.whole
    assert len(made.key_ids) == len(stems)
    verdict = verify(made.pdf)
    assert (verdict.sound, list(verdict.suites)) == (True, suites)
    algorithms = [one.algorithm for one in envelope_from_json(statement).signatures]
    assert [("SM2" in one) for one in algorithms] == [suite is Suite.NATIONAL for suite in suites]


async def test_each_seal_bears_a_time_stamp_and_the_second_covers_the_first_one_s(tmp_path: Path) -> None:
    """One at a time: what a time stamp is put into must not be signed over already."""
    authority = TimestampAuthority(sample_pki().pki.issue_tsa().signer(), lambda: NOW)
    data = encode_content(content())

    def token(value: bytes) -> bytes:
        return decode_response(authority.answer(encode_request(value, nonce=9)))

    async with sealer(tmp_path, "p256", "sm2") as running:
        first = await running.seal(data, proof_for(data), at=NOW, stamp_room=True)
        assert not first.whole
        stamped = await running.stamp(first.pdf, token(first.signature), at=NOW)
        second = await running.seal(data, proof_for(data), at=NOW, stamp_room=True, begun=stamped)
        assert second.whole
        assert second.key_ids == first.key_ids
        pdf = await running.stamp(second.pdf, token(second.signature), at=NOW)
    assert pdf.startswith(stamped)
    assert [one.proven_at for one in check_pdf(pdf, sample_pki().trust, NOW).signatures] == [NOW, NOW]
    assert verify(pdf, suites=BOTH).sound


# -- a reader without SM2 ----------------------------------------------------------------------------------------------

WITHOUT = """
import json, sys
sys.modules["tongsuopy"] = None  # as if it were not installed
import datetime as dt
from pathlib import Path
from gateway.certificates.verdict import Step
from gateway.certificates.verify import verify_certificate
from gateway.client.statements import unjudged_seal
from signing.algorithms import Suite
from signing.envelope import envelope_from_json
from signing.errors import SigningError
from signing.trust import Purpose
from signing.trust_directory import read_trust
from signing.verify import verify_envelope

folder, now, vkeys = Path(sys.argv[1]), dt.datetime.fromisoformat(sys.argv[2]), json.loads(sys.argv[3])
trust, told = read_trust(folder), {}
for path in sorted(folder.glob("*.pdf")):
    for name, suites in (("", {}), (" demanded", {"r1": frozenset(Suite)})):
        verdict = verify_certificate(path.read_bytes(), trust=trust, vkeys=vkeys, at=now, suites=suites)
        seal = verdict.of(Step.SEAL)
        told[path.stem + name] = {
            "sound": verdict.sound, "failed": {one.step: one.code for one in verdict.failed},
            "seal": [seal.result, seal.code, seal.why_en, seal.why_zh],
        }
for path in sorted(folder.glob("*.json")):
    envelope = envelope_from_json(path.read_bytes())
    try:
        verified = verify_envelope(envelope, Purpose.REGISTRY, trust, now, either_suite=True)
        told[path.stem] = [len(verified.signers), len(verified.unjudged), unjudged_seal(path.read_bytes())]
    except SigningError as error:
        told[path.stem] = error.reason
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process without the extra says of each file, by a trust folder with the anchors of both suites."""
    folder = tmp_path_factory.mktemp("without")
    write_trust(sample_pki().trust, folder)
    files = {
        "both": sealed_twice(),
        "international": sealed(),
        "national": seal(unsealed(), national_seal()),
        "added to": sealed_twice() + b"\n",
    }
    for name, pdf in files.items():
        (folder / f"{name}.pdf").write_bytes(pdf)
    signers = [sample_pki().registry_seal.signer(), national_seal().signer()]
    for name, some in (("statement", signers), ("national statement", signers[1:])):
        (folder / f"{name}.json").write_bytes(envelope_to_json(sign_envelope("a/b", b"{}", some)))
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(folder), NOW.isoformat(), json.dumps(VKEYS)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    read: dict[str, Any] = json.loads(ran.stdout)
    return read


def test_without_sm2_the_international_seal_decides_and_the_other_is_said_not_to_be_judged(
    told: dict[str, Any],
) -> None:
    """In both languages, with what to install; nothing fails."""
    assert told["both"]["sound"]
    result, code, en, zh = told["both"]["seal"]
    assert (result, code) == (Result.HOLDS, "NATIONAL_SEAL_NOT_JUDGED")
    assert "the national one was not judged" in en
    assert "国密印章未核验" in zh
    assert all("pip install 'diya[sm]'" in words for words in (en, zh))
    assert told["international"]["seal"][1] == ""


def test_without_sm2_a_demand_for_both_fails(told: dict[str, Any]) -> None:
    """What was not judged is not there."""
    assert told["both demanded"]["failed"] == {"ISSUER": "SEAL_SUITE_MISSING"}
    assert not told["both demanded"]["sound"]


def test_without_sm2_a_national_seal_alone_proves_nothing(told: dict[str, Any]) -> None:
    """It is not judged, and nothing else is there."""
    assert told["national"]["failed"] == {"SEAL": "ALGORITHM_UNAVAILABLE"}
    assert not told["national"]["sound"]


def test_without_sm2_what_was_added_after_the_last_seal_is_still_seen(told: dict[str, Any]) -> None:
    """Where a signature ends is no cryptography."""
    assert told["added to"]["failed"] == {"SEAL": "FILE_CHANGED_AFTER_SEALING"}


def test_without_sm2_a_statement_in_both_suites_holds_and_one_of_sm2_alone_does_not(
    told: dict[str, Any],
) -> None:
    """The same rule in an envelope; who does not ask for it gets every signature judged, or none."""
    signers, unjudged, words = told["statement"]
    assert (signers, unjudged) == (1, 1)
    assert "国密印章未核验" in words[0]
    assert told["national statement"] == "ALGORITHM_UNAVAILABLE"


def test_statement_in_both_suites_is_judged_whole_where_sm2_is_installed() -> None:
    """A good first signature does not carry a bad second one."""
    signers = [sample_pki().registry_seal.signer(), national_seal().signer()]
    envelope = sign_envelope("a/b", b"{}", signers)
    verified = verify_envelope(envelope, Purpose.REGISTRY, sample_pki().trust, NOW, either_suite=True)
    assert [one.algorithm for one in verified.signers] == ["ECDSA_P256_SHA256", "SM2_SM3"]
    assert verified.unjudged == ()
