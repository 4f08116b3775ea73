"""Malformed certificates, revocation lists, CMS and envelopes end in a refusal of this package, in both languages.

Structure is spoilt, not only bytes: see `tests/support/asn1.py`. What is looked for is an exception of a library that
gets through, a hang, and a signature that still holds though what it covers has changed.
"""

from __future__ import annotations

import re
from functools import cache

import pytest
from asn1crypto import cms
from asn1crypto import keys as asn1_keys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from signing.certificates import parse_certificate
from signing.envelope import Envelope, EnvelopeSignature, envelope_from_json, envelope_to_json
from signing.errors import (
    AlgorithmRefused,
    CertificateMalformed,
    CertificateRefused,
    CertificateUnknownIssuer,
    EnvelopeMalformed,
    SigningError,
    TrustStoreInvalid,
)
from signing.ocsp import check_nonce, read_answer
from signing.pdf import check_pdf
from signing.pki import Revocation, make_authority
from signing.revocation import CRL_BYTES_MAX
from signing.seal import append_signature
from signing.signer import sign_envelope
from signing.trust import Purpose, TrustStore
from signing.verify import verify_envelope
from tests.support.asn1 import Node, nested, spoil
from tests.support.long_list import FIRST_SERIAL, long_list
from tests.support.ocsp import answer, responder
from tests.support.pdf_files import make_pdf
from tests.support.pki import BANK_USCC, NOW, sample_pki

SEEDS = st.integers(0, 2**63)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # of the library, about odd names and numbers

FUZZ = settings(max_examples=200, deadline=None)


@cache
def _envelope() -> Envelope:
    return sign_envelope("a/b", b"payload", [sample_pki().bank.signer()])


def _with(certificates: tuple[bytes, ...], key_id: str = "") -> Envelope:
    one = _envelope().signatures[0]
    changed = EnvelopeSignature(key_id or one.key_id, one.algorithm, certificates, one.signature)
    return Envelope("a/b", b"payload", (changed,))


def _refusal(envelope: Envelope) -> SigningError | None:
    try:
        verify_envelope(envelope, Purpose.INSTITUTION, sample_pki().trust, NOW)
    except SigningError as error:
        refused = error
    else:
        return None
    assert re.search("[\u4e00-\u9fff]", refused.zh)
    assert refused.message
    return refused


@FUZZ
@given(SEEDS)
def test_spoilt_certificate_is_refused(seed: int) -> None:
    """A signer's certificate of which one element changed never holds, and is never a defect."""
    leaf, *others = sample_pki().bank.certificates
    changed = spoil(leaf, seed)
    refused = _refusal(_with((changed, *others)))
    assert refused is not None or changed == leaf


@FUZZ
@given(SEEDS)
def test_spoilt_intermediate_is_no_defect(seed: int) -> None:
    """What travels beside the signer's certificate only helps; spoilt, it helps nobody."""
    leaf, *others = sample_pki().bank.certificates
    refused = _refusal(_with((leaf, *[spoil(one, seed) for one in others])))
    assert refused is None or isinstance(refused, CertificateRefused | EnvelopeMalformed)


@FUZZ
@given(SEEDS)
def test_spoilt_revocation_list_is_refused(seed: int) -> None:
    """A list of which one element changed is `TrustStoreInvalid`, never half read."""
    pki = sample_pki().pki
    issuer = pki.issuing[Purpose.INSTITUTION]
    serial = sample_pki().bank.certificate.serial
    genuine = issuer.make_crl([Revocation(serial, NOW)], now=NOW)
    changed = spoil(genuine, seed)
    anchors = {Purpose.INSTITUTION: [pki.anchors[Purpose.INSTITUTION].der]}
    try:
        TrustStore(anchors, [changed], [issuer.der])
    except TrustStoreInvalid:
        return
    assert _signed_part(changed) == _signed_part(genuine)


def _signed_part(der: bytes) -> bytes:
    return Node.read(der).children[0].write()


@cache
def _answer() -> bytes:
    issuer = sample_pki().pki.issuing[Purpose.INSTITUTION]
    return answer(sample_pki().bank, issuer, by=responder(issuer), status="revoked", nonce=b"n" * 32)


@FUZZ
@given(SEEDS)
def test_spoilt_ocsp_answer_is_refused_or_says_the_same(seed: int) -> None:
    """What nobody signs may change, such as the order of certificates; never what is said, and it is never a defect."""
    issuers = (sample_pki().pki.issuing[Purpose.INSTITUTION].credential.certificate,)
    changed = spoil(_answer(), seed)
    try:
        check_nonce(changed, b"n" * 32)
        said = read_answer(changed, issuers)
    except TrustStoreInvalid:
        return
    assert said == read_answer(_answer(), issuers)


@cache
def _signed_pdf() -> tuple[bytes, bytes, int]:
    """A signed file, its CMS, and the room for it."""
    data = append_signature(make_pdf(), sample_pki().bank.signer(), reason="x", at=NOW)
    found = re.search(rb"/Contents\s*<([0-9A-Fa-f]{1000,})>", data)
    assert found
    padded = bytes.fromhex(found.group(1).decode())
    return (
        data,
        padded[: 4 + int.from_bytes(padded[2:4], "big")],
        len(padded),
    )  # a sequence, two bytes of length


@FUZZ
@given(SEEDS)
def test_spoilt_cms_in_a_pdf_is_a_verdict(seed: int) -> None:
    """The check of a file whose CMS is spoilt ends in a verdict; where it is good, it is of the same signer."""
    data, genuine, room = _signed_pdf()
    changed = spoil(genuine, seed)
    if len(changed) > room:
        changed = changed[:room]
    at = data.lower().index(genuine.hex().encode())
    padded = changed.ljust(room, b"\0").hex().encode()
    verdict = check_pdf(data[:at] + padded + data[at + 2 * room :], sample_pki().trust, NOW)
    assert all(re.search("[\u4e00-\u9fff]", problem.zh) and problem.en for problem in verdict.problems)
    if verdict.ok:  # what nobody signs may change: order of certificates, versions, the list of digests
        assert [one.identity.number for one in verdict.signatures] == [BANK_USCC]
        signer = cms.ContentInfo.load(genuine)["content"]["signer_infos"][0]
        assert signer["signed_attrs"].untag().contents in changed
        assert signer["signature"].dump() in changed


@FUZZ
@given(st.data())
def test_spoilt_json_of_an_envelope_is_refused(data: st.DataObject) -> None:
    """Bytes cut out of, put into or changed in an envelope's JSON give `EnvelopeMalformed` or one that fails."""
    text = envelope_to_json(_envelope())
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    middle = data.draw(
        st.one_of(st.binary(max_size=12), st.sampled_from([b"[" * 5000, b'{"a":' * 5000, b"9" * 5000]))
    )
    try:
        envelope = envelope_from_json(text[:start] + middle + text[end:])
    except EnvelopeMalformed:
        return
    if envelope.payload != b"payload" or envelope.payload_type != "a/b":
        assert _refusal(envelope) is not None


def test_envelope_of_a_thousand_certificates_is_refused_by_its_shape() -> None:
    """Nobody's thousand certificates are parsed: the count alone refuses."""
    with pytest.raises(EnvelopeMalformed, match="1000 certificates"):
        verify_envelope(_with((b"\x30\x00",) * 1000), Purpose.INSTITUTION, sample_pki().trust, NOW)


@pytest.mark.parametrize("levels", [100, 3900])
def test_certificate_of_nested_sequences_is_malformed(levels: int) -> None:
    """Depth costs no stack: neither as a certificate nor inside one of its extensions."""
    with pytest.raises(CertificateMalformed):
        parse_certificate(nested(levels))
    deep = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), nested(levels))
    issuing = sample_pki().pki.issuing[Purpose.INSTITUTION]
    name = sample_pki().bank.certificate.loaded.subject
    with pytest.raises(CertificateMalformed):
        parse_certificate(issuing.issue(name, _key(), [(deep, False)], now=NOW).certificates[0])


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    ("modulus", "exponent"),
    [
        (2**16384 - 1, 65537),
        (2**16384 - 1, 2**16383 + 1),
        (2**4096 - 1, 2**4095 + 1),
        (2**2048 - 1, 2**33 + 1),
        (2**2048 - 1, 3),
        (2**2048 - 1, 1),
        (2**1024 - 1, 65537),
    ],
    ids=["16k", "16k-huge-exponent", "4k-huge-exponent", "wide-exponent", "e3", "e1", "1k"],
)
def test_rsa_key_of_unusual_numbers_is_refused_before_it_is_used(modulus: int, exponent: int) -> None:
    """A key whose one verification takes seconds, or proves nothing, is no key here, whoever certified it."""
    info = asn1_keys.PublicKeyInfo.wrap(
        asn1_keys.RSAPublicKey({"modulus": modulus, "public_exponent": exponent}), "rsa"
    ).dump()
    root = Node.read(sample_pki().bank.certificates[0])
    root.children[0].children[6] = Node.read(info)
    certificate = root.write()
    try:
        key_id = parse_certificate(certificate).key_id
    except CertificateMalformed:  # its numbers are refused as it is read
        return
    refused = _refusal(_with((certificate,), key_id))
    assert isinstance(refused, AlgorithmRefused)


def test_serial_number_of_a_thousand_bytes_is_malformed() -> None:
    """It would be copied into every entry and every look-up."""
    root = Node.read(sample_pki().bank.certificates[0])
    serial = next(one for one in root.children[0].children if one.tag == 0x02)
    serial.content = b"\x01" * 1000
    with pytest.raises(CertificateMalformed, match="serial"):
        parse_certificate(root.write())


def test_authorities_of_one_name_that_vouch_for_each_other_end_the_search() -> None:
    """Sixteen of one name and sixteen keys, none of which leads to an anchor: 16! paths, of which a few are tried."""
    keys = [_key() for _ in range(16)]
    authorities = [make_authority("the same", now=NOW, key=key) for key in keys]
    across = [
        parse_certificate(authorities[i - 1].make_intermediate("the same", now=NOW, key=key).der)
        for i, key in enumerate(keys)
    ]
    without_key_ids = [parse_certificate(_without_key_ids(one.der)) for one in across]
    bank = sample_pki().bank.certificate.loaded.subject
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    organisation = authorities[0].issue(bank, _key(), [(usage, True)], now=NOW)
    leaf = parse_certificate(_without_key_ids(organisation.certificates[0]))
    with pytest.raises(CertificateUnknownIssuer):
        sample_pki().trust.check_chain(leaf, without_key_ids, Purpose.INSTITUTION, NOW)


def _without_key_ids(der: bytes) -> bytes:
    """The certificate without subject and authority key identifiers, which would tell the keys apart."""
    root = Node.read(der)
    tbs = root.children[0]
    (extensions,) = tbs.children[-1].children
    extensions.children = [
        one
        for one in extensions.children
        if one.children[0].content not in (b"\x55\x1d\x0e", b"\x55\x1d\x23")
    ]
    return root.write()


def test_revocation_list_over_the_limit_is_not_read() -> None:
    """Size comes first: nothing of it is parsed."""
    with pytest.raises(TrustStoreInvalid, match="the limit is"):
        TrustStore({}, [bytes(CRL_BYTES_MAX + 1)])


def test_revocation_list_of_many_entries_decides() -> None:
    """A list of a hundred thousand is an ordinary one: the last entry counts like the first."""
    pki = sample_pki().pki
    issuer = pki.issuing[Purpose.INSTITUTION]
    serial = sample_pki().bank.certificate.serial
    anchors = {Purpose.INSTITUTION: [pki.anchors[Purpose.INSTITUTION].der]}
    store = TrustStore(anchors, [long_list(issuer, serial, 100_000)], [issuer.der])
    key_id = issuer.credential.certificate.key_id
    assert store.is_revoked(key_id, serial, NOW)
    assert store.is_revoked(key_id, FIRST_SERIAL + 99_999, NOW)
    assert not store.is_revoked(key_id, FIRST_SERIAL + 100_000, NOW)
