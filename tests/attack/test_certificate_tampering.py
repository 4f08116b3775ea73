"""Somebody who wants a bank to believe another certificate than the authority issued.

Each test changes one thing and names the check that finds it. The strongest attacker here holds the
registry's own seal key: then only the ledger stands in the way.
"""

from __future__ import annotations

import io
import re
import zlib

import msgspec
import pypdf
import pytest
from pypdf.generic import NameObject, StreamObject

from gateway.certificates.content import CertificateContent, encode_content
from gateway.certificates.layout import lay_out
from gateway.certificates.proof import LedgerProof, encode_proof
from gateway.certificates.render import TEMPLATE
from gateway.certificates.typeset import Attachment, typeset
from gateway.certificates.verdict import CertificateVerdict, Result, Step
from gateway.certificates.verify import verify_certificate
from gateway.register.identifiers import make_certificate_identifier
from ledger.entry import commit_part, parse_entry
from ledger.hashing import leaf_hash
from ledger.proof_file import write_proof_file
from signing.pki import DevelopmentPKI
from signing.seal import seal_pdf
from signing.signer import LocalSigner
from tests.support.certificates import ORIGIN, VKEYS, content, proof_for, seal, sealed, unsealed
from tests.support.ledger_database import make_signer
from tests.support.pki import NOW, REGISTRY_USCC, sample_pki, social_credit_code

RICHER = content(
    other=tuple(
        msgspec.structs.replace(line, value="999万元") if line.label == "担保债权数额" else line
        for line in content().other
    )
)


def verify(pdf: bytes) -> CertificateVerdict:
    """Judge by the sample PKI and the sample log's key."""
    return verify_certificate(pdf, trust=sample_pki().trust, vkeys=VKEYS, at=NOW)


def failed(pdf: bytes) -> dict[Step, str]:
    """Failing checks with their codes."""
    return {check.step: check.code for check in verify(pdf).failed}


def forge(
    printed: CertificateContent, attached: bytes, proof: LedgerProof, note: bytes | None = None
) -> bytes:
    """A certificate whose pages, data and proof need not agree, before its seal."""
    if note is None:
        note = write_proof_file(proof.index, proof.inclusion, proof.checkpoint.encode())
    return typeset(
        TEMPLATE,
        {"layout": lay_out(printed), "tone": "proof", "qr": "<svg xmlns='http://www.w3.org/2000/svg'/>"},
        (
            Attachment("certificate.json", "application/json", "", attached),
            Attachment("ledger-proof.json", "application/json", "", encode_proof(proof)),
            Attachment("proof.tlog-proof", "text/plain", "", note),
        ),
        created_at=NOW,
    )


def flip(data: bytes, position: int) -> bytes:
    """`data` with one bit changed."""
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


@pytest.mark.parametrize("part", range(1, 20))
def test_one_bit_changed_anywhere_breaks_the_file_or_the_seal(part: int) -> None:
    """No byte of a sealed certificate is free."""
    pdf = sealed()
    verdict = verify(flip(pdf, len(pdf) * part // 20))
    assert not verdict.sound
    assert {check.step for check in verdict.failed} & {Step.FILE, Step.SEAL, Step.SEAL_CHAIN}


def test_changed_attachment_breaks_the_seal() -> None:
    """Other data put into the sealed file are found by the seal, and by the ledger as well."""
    writer = pypdf.PdfWriter(io.BytesIO(sealed()), incremental=True)
    names = writer.root_object["/Names"]["/EmbeddedFiles"]["/Names"]  # type: ignore[index]
    stream = names[1].get_object()["/EF"]["/F"].get_object()
    assert isinstance(stream, StreamObject)
    stream._data = zlib.compress(encode_content(RICHER))
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    out = io.BytesIO()
    writer.write(out)
    found = failed(out.getvalue())
    assert found[Step.SEAL] == "FILE_CHANGED_AFTER_SIGNING"
    assert found[Step.COMMITMENT] == "COMMITMENT_DIFFERS"


def test_changed_text_breaks_the_seal_and_differs_from_the_data() -> None:
    """A page drawn anew over the sealed one is found by the seal, and its words by the comparison."""
    base = pypdf.PdfReader(io.BytesIO(unsealed(RICHER)))
    writer = pypdf.PdfWriter(io.BytesIO(sealed()), incremental=True)
    writer.pages[0].merge_page(base.pages[0])
    out = io.BytesIO()
    writer.write(out)
    found = failed(out.getvalue())
    assert Step.SEAL in found
    assert found[Step.PRINTED] == "PRINTED_DIFFERS"


def test_appended_bytes_are_found() -> None:
    """Nothing may follow a sealed certificate."""
    assert failed(sealed() + b"more")[Step.FILE] == "FILE_TRAILING_DATA"


def test_second_signature_is_found() -> None:
    """A certificate bears one seal; the certification forbids any further signature."""
    signer = sample_pki().bank.signer()
    plain = seal_pdf(unsealed(), sample_pki().registry_seal.signer(), reason="测试", at=NOW)
    twice = seal_pdf(plain, signer, reason="测试", at=NOW, field="Second")
    assert failed(twice)[Step.SEAL] == "SEAL_COUNT"


def test_pages_that_say_other_than_the_data_are_found_even_under_the_true_seal() -> None:
    """What a person reads and what a program reads must be the same."""
    data = encode_content(content())
    found = failed(seal(forge(RICHER, data, proof_for(data))))
    assert found == {Step.PRINTED: "PRINTED_DIFFERS"}


def test_difference_on_the_pages_is_shown() -> None:
    """The report shows the words expected and the words found."""
    data = encode_content(content())
    check = verify(seal(forge(RICHER, data, proof_for(data)))).of(Step.PRINTED)
    assert "123.45" in check.why_en
    assert "999" in check.why_zh


@pytest.mark.parametrize(
    "changes",
    [
        {"number": "苏(2026)测试市不动产证明第0000002号"},
        {"location": "测试市长江路89号"},
        {"note": "另有约定"},
        {"holders": content().obligors},
        {"code": "f" * 32},
        {"test": False},
    ],
)
def test_any_printed_field_that_differs_from_the_data_is_found(changes: dict[str, object]) -> None:
    """Every field on the pages is compared, not only the amounts."""
    data = encode_content(content())
    found = failed(seal(forge(content(**changes), data, proof_for(data))))
    assert found == {Step.PRINTED: "PRINTED_DIFFERS"}


def test_data_that_were_never_booked_are_found_even_under_the_true_seal() -> None:
    """Whoever holds the seal key alone still cannot make the ledger say otherwise."""
    found = failed(seal(forge(RICHER, encode_content(RICHER), proof_for(encode_content(content())))))
    assert found == {Step.COMMITMENT: "COMMITMENT_DIFFERS"}


def test_proof_of_another_part_is_found() -> None:
    """The proof must be of a certificate part: another part of the entry says other things."""
    data = encode_content(content())
    found = failed(seal(forge(content(), data, proof_for(data, part="evidence"))))
    assert found == {Step.COMMITMENT: "PART_MISSING"}


def test_proof_of_another_entry_is_found() -> None:
    """An entry made up for the content is in nobody's tree."""
    data = encode_content(RICHER)
    true = proof_for(encode_content(content()))
    entry = parse_entry(true.entry)
    made_up = msgspec.structs.replace(true, entry=proof_for(data).entry)
    assert dict(parse_entry(made_up.entry).commitments)["certificate/1"] == commit_part(true.salt, data)
    assert leaf_hash(made_up.entry) != entry.entry_hash()
    found = failed(seal(forge(RICHER, data, made_up)))
    assert found == {Step.INCLUSION: "PROOF_INVALID"}


def test_entry_with_another_index_than_the_proof_is_found() -> None:
    """The index belongs to the entry's bytes."""
    data = encode_content(content())
    moved = msgspec.structs.replace(proof_for(data), index=0)
    assert failed(seal(forge(content(), data, moved)))[Step.COMMITMENT] == "ENTRY_DISAGREES"


def test_checkpoint_of_another_key_is_found() -> None:
    """A log of one's own, under the true log's name, has another key."""
    data = encode_content(content())
    own = proof_for(data, signer=make_signer(ORIGIN, seed=9))
    verdict = verify(seal(forge(content(), data, own)))
    assert [(c.step, c.code) for c in verdict.failed] == [(Step.CHECKPOINT, "CHECKPOINT_INVALID")]
    assert verdict.of(Step.INCLUSION).result is Result.NOT_MADE


def test_log_nobody_told_of_is_found() -> None:
    """A log whose key the verifier does not have proves nothing."""
    verdict = verify_certificate(sealed(), trust=sample_pki().trust, vkeys={}, at=NOW)
    assert verdict.of(Step.CHECKPOINT).code == "LOG_UNKNOWN"
    assert not verdict.sound


def test_checkpoint_of_another_log_is_found() -> None:
    """A checkpoint that the known key signed for another log is not this log's."""
    data = encode_content(content())
    renamed = msgspec.structs.replace(proof_for(data), origin="ledger.example/r2")
    vkeys = {**VKEYS, "ledger.example/r2": VKEYS[ORIGIN]}
    pdf = seal(forge(content(), data, renamed))
    verdict = verify_certificate(pdf, trust=sample_pki().trust, vkeys=vkeys, at=NOW)
    assert verdict.of(Step.CHECKPOINT).code == "CHECKPOINT_ORIGIN"
    assert verdict.of(Step.COMMITMENT).code == "ENTRY_DISAGREES"


def test_two_proofs_that_differ_are_found() -> None:
    """The two forms of the proof must say the same: tools read one or the other."""
    data = encode_content(content())
    other = proof_for(data, signer=make_signer(ORIGIN, seed=9))
    note = write_proof_file(other.index, other.inclusion, other.checkpoint.encode())
    assert failed(seal(forge(content(), data, proof_for(data), note)))[Step.DATA] == "DATA_PROOFS_DIFFER"


def test_resealed_by_a_bank_is_found() -> None:
    """A bank's certificate is trusted, but not for seals."""
    assert failed(seal(unsealed(), sample_pki().bank))[Step.SEAL_CHAIN] == "SEAL_WRONG_PURPOSE"


def test_resealed_by_another_authority_is_found() -> None:
    """Another registry's true seal is not this registry's."""
    other = sample_pki().pki.issue_seal(social_credit_code("MA00REGY2"), "另一登记中心")
    assert failed(seal(unsealed(), other)) == {Step.ISSUER: "ISSUER_NOT_SEALER"}


def test_resealed_by_an_unknown_key_is_found() -> None:
    """A seal of the same name from a home-made authority chains to nothing."""
    stranger = DevelopmentPKI.create(NOW).issue_seal(REGISTRY_USCC, "测试市不动产登记中心")
    assert failed(seal(unsealed(), stranger)) == {Step.SEAL_CHAIN: "CERTIFICATE_UNKNOWN_ISSUER"}


def test_identifier_with_a_wrong_check_character_is_found() -> None:
    """The identifier's check character is computed again (GB/T 17710)."""
    right = content().identifier
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    made = content(identifier=wrong)
    assert failed(seal(unsealed(made)))[Step.IDENTIFIER] == "CERTIFICATE_IDENTIFIER_CHECK"


def test_identifier_of_another_kind_is_found() -> None:
    """The identifier of a title on a proof disagrees with number and data."""
    made = content(identifier=make_certificate_identifier("TITLE", REGISTRY_USCC, "1"))
    assert failed(seal(unsealed(made)))[Step.IDENTIFIER] == "IDENTIFIER_DISAGREES"


def test_missing_attachment_is_found() -> None:
    """A certificate without its data cannot be compared with anything."""
    pdf = seal(
        typeset(
            TEMPLATE,
            {
                "layout": lay_out(content()),
                "tone": "proof",
                "qr": "<svg xmlns='http://www.w3.org/2000/svg'/>",
            },
            (),
            created_at=NOW,
        )
    )
    verdict = verify(pdf)
    assert verdict.of(Step.DATA).code == "DATA_ATTACHMENT"
    assert verdict.of(Step.PRINTED).result is Result.NOT_MADE


def test_unknown_schema_asks_for_a_newer_verifier() -> None:
    """Data of a schema of tomorrow are not guessed at."""
    data = re.sub(
        rb"certificate/v1", b"certificate/v2", encode_content(content(schema="diya-certificate/v2"))
    )
    assert failed(seal(forge(content(), data, proof_for(data))))[Step.DATA] == "DATA_SCHEMA"


def test_cancelled_status_is_not_decided_offline() -> None:
    """The file of a cancelled certificate is as sound as before; only the authority knows."""
    verdict = verify(sealed())
    assert verdict.sound
    assert verdict.of(Step.LIVE_STATUS).result is Result.NOT_MADE


def test_key_file_signer_is_the_same_seal() -> None:
    """A seal loaded from PEM files is the seal that was issued."""
    credential = sample_pki().registry_seal
    signer = LocalSigner.from_pem(credential.key_pem(), credential.chain_pem())
    assert verify(seal_pdf(unsealed(), signer, reason="测试", at=NOW, certify=True)).sound
