"""The trust store: what it refuses to be made of, how it travels, and what it remembers."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from signing import trust as trust_module
from signing.anchors import AnchorPolicy
from signing.certificates import parse_certificate
from signing.chains import Authorities
from signing.errors import CertificateExpired, CertificateRevoked, TrustStoreInvalid
from signing.pki import Authority, DevelopmentPKI, Revocation, make_authority
from signing.trust import Purpose, TrustStore
from signing.trust_directory import read_trust, write_trust
from tests.support.pki import NOW, sample_pki

DAY = timedelta(days=1)


def _crl(authority: Authority, *extensions: tuple[x509.ExtensionType, bool], serial: int = 7) -> bytes:
    key = authority.credential.private_key
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(x509.load_der_x509_certificate(authority.der).subject)
        .last_update(NOW)
        .next_update(NOW + DAY)
        .add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(serial)
            .revocation_date(NOW)
            .add_extension(x509.InvalidityDate((NOW - DAY).replace(tzinfo=None)), critical=False)
            .build()
        )
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_store_goes_out_and_comes_back_as_data() -> None:
    """What is sent to another process judges as this one does."""
    store = sample_pki().trust_revoking(sample_pki().bank)
    again = TrustStore.from_bytes(store.to_bytes())
    assert again.digest() == store.digest()
    assert again.revocation_required
    with pytest.raises(CertificateRevoked):
        again.check_chain(sample_pki().bank.certificate, [], Purpose.INSTITUTION, NOW)


@pytest.mark.parametrize("data", [b"", b"\x80", b"nonsense", b"\x81\xa7anchors\x81\xa1x\x90"])
def test_store_data_that_is_none_is_refused(data: bytes) -> None:
    """Bytes that are no store raise the package's own error."""
    with pytest.raises(TrustStoreInvalid):
        TrustStore.from_bytes(data)


def test_store_goes_through_a_folder(tmp_path: Path) -> None:
    """A folder of ordinary files holds the same trust."""
    store = sample_pki().trust
    write_trust(store, tmp_path / "trust")
    again = read_trust(tmp_path / "trust", revocation_required=True)
    assert again.anchors == store.anchors
    assert again.intermediates == store.intermediates
    assert set(again.crls) == set(store.crls)


def test_policies_go_through_a_folder(tmp_path: Path) -> None:
    """Dates, sources and grace of an anchor lie beside it, in a file that a person can change."""
    pki = sample_pki().trust
    anchor, *_ = pki.anchors[Purpose.PERSON]
    policy = AnchorPolicy(
        anchor=hashlib.sha256(anchor).hexdigest(),
        not_after=NOW,
        revocation_required=True,
        grace_hours=0,
        ocsp_urls=("http://ocsp.example.cn/",),
    )
    store = TrustStore(pki.anchors, policies={Purpose.PERSON: [policy]})
    write_trust(store, tmp_path)
    assert read_trust(tmp_path).policies == store.policies


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("nonsense", "malformed"),
        ('{"persons": []}', "persons"),
        ('{"person": [{"anchor": "ANCHOR", "crl_url": []}]}', "crl_url"),
        ('{"person": [{"anchor": "ANCHOR", "not_after": "2027-01-01T00:00:00"}]}', "zone"),
        ('{"person": [{"anchor": "ANCHOR", "grace_hours": "many"}]}', "grace_hours"),
        ('{"person": [{}]}', "anchor"),
        ('{"person": [{"anchor": "00"}]}', "anchor"),
    ],
)
def test_policies_that_are_none_are_refused(tmp_path: Path, told: str, why: str) -> None:
    """A word that is spelt wrong is an error, never a source that nobody asks."""
    store = sample_pki().trust
    write_trust(store, tmp_path)
    anchor, *_ = store.anchors[Purpose.PERSON]
    (tmp_path / "policies.json").write_text(told.replace("ANCHOR", hashlib.sha256(anchor).hexdigest()))
    with pytest.raises(TrustStoreInvalid, match=why):
        read_trust(tmp_path)


def test_store_folder_without_anchors_or_with_nonsense_is_refused(tmp_path: Path) -> None:
    """A wrong path is an error that names it, never a store that trusts nobody."""
    with pytest.raises(TrustStoreInvalid, match="missing"):
        read_trust(tmp_path / "missing")
    with pytest.raises(TrustStoreInvalid, match=r"institution\.pem"):
        read_trust(tmp_path)
    (tmp_path / "person.pem").write_text("nonsense")
    with pytest.raises(TrustStoreInvalid, match=r"person\.pem"):
        read_trust(tmp_path)


def test_store_refuses_an_anchor_that_is_no_authority() -> None:
    """A bank's own certificate is no anchor."""
    for der in (sample_pki().bank.certificates[0], b"nonsense"):
        with pytest.raises(TrustStoreInvalid):
            TrustStore({Purpose.INSTITUTION: (der,)})
        with pytest.raises(TrustStoreInvalid):
            TrustStore({}, intermediates=(der,))


def test_store_refuses_a_list_that_no_known_authority_signed() -> None:
    """A list by a stranger, also under a known name, says nothing about anybody."""
    pki = sample_pki().pki
    foreign = DevelopmentPKI.create(NOW).issuing[Purpose.INSTITUTION].make_crl(now=NOW)
    for crl in (foreign, make_authority("stranger", now=NOW).make_crl(now=NOW), b"nonsense"):
        with pytest.raises(TrustStoreInvalid, match="CRL 0"):
            pki.trust_store([crl])
    changed = bytearray(pki.make_crl(Purpose.INSTITUTION))
    changed[-1] ^= 1
    with pytest.raises(TrustStoreInvalid):
        pki.trust_store([bytes(changed)])


def test_store_refuses_partial_lists() -> None:
    """A delta, an indirect list or an unknown critical extension would be half understood."""
    authority = sample_pki().pki.issuing[Purpose.INSTITUTION]

    def point(**options: bool) -> x509.IssuingDistributionPoint:
        named: dict[str, bool] = {
            "only_contains_user_certs": False,
            "only_contains_ca_certs": False,
            "indirect_crl": False,
            "only_contains_attribute_certs": False,
            **options,
        }
        return x509.IssuingDistributionPoint(
            full_name=[x509.UniformResourceIdentifier("http://crl.invalid/1")],
            relative_name=None,
            only_some_reasons=None,
            **named,
        )

    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    for extension in (
        (x509.DeltaCRLIndicator(1), True),
        (point(indirect_crl=True), True),
        (unknown, True),
    ):
        with pytest.raises(TrustStoreInvalid):
            sample_pki().pki.trust_store([_crl(authority, extension)])
    sample_pki().pki.trust_store([_crl(authority, (point(), True)), _crl(authority, (unknown, False))])


def test_store_counts_a_revocation_from_the_invalidity_date() -> None:
    """A key that was stolen yesterday did not sign this morning, though the list says today."""
    authority = sample_pki().pki.issuing[Purpose.INSTITUTION]
    store = sample_pki().pki.trust_store([_crl(authority, serial=7)])
    key_id = authority.credential.certificate.key_id
    assert not store.is_revoked(key_id, 7, NOW - DAY - timedelta(seconds=1))
    assert store.is_revoked(key_id, 7, NOW - DAY)
    assert store.is_revoked(key_id, 7, NOW + 900 * DAY)
    assert not store.is_revoked(key_id, 8, NOW)
    assert not store.is_revoked("0" * 64, 7, NOW)


def test_store_lets_the_newest_list_of_an_issuer_decide() -> None:
    """A hold that a newer list no longer names is lifted, in whichever order the lists come."""
    pki = sample_pki().pki
    authority = pki.issuing[Purpose.INSTITUTION]
    key_id = authority.credential.certificate.key_id
    old = authority.make_crl([Revocation(7, NOW)], now=NOW)
    new = authority.make_crl([], now=NOW + DAY)
    for lists in ((old, new), (new, old)):
        assert not pki.trust_store(lists).is_revoked(key_id, 7, NOW + DAY)


def test_store_remembers_a_bounded_number_of_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the number of certificates that come by."""
    monkeypatch.setattr(trust_module, "CACHED_CHAINS", 2)
    store = sample_pki().pki.trust_store()
    for credential in (sample_pki().bank, sample_pki().second_bank, sample_pki().fund_centre) * 2:
        store.check_chain(credential.certificate, [], Purpose.INSTITUTION, NOW)
        assert len(store._memory) <= 2


def test_store_chain_lists_its_certificates_from_leaf_to_anchor() -> None:
    """What judged a signature can be named: leaf, issuing authority, anchor."""
    sample = sample_pki()
    leaf = sample.bank.certificate
    chain = sample.trust.check_chain(leaf, [], Purpose.INSTITUTION, NOW)
    assert chain.fingerprints[0] == leaf.fingerprint
    assert chain.serials[0] == leaf.serial
    assert len(chain.certificates) == 3
    assert sample.trust.is_anchor(chain.fingerprints[-1], Purpose.INSTITUTION)
    assert not sample.trust.is_anchor(chain.fingerprints[-1], Purpose.PERSON)
    assert [link.fingerprint for link in chain.links] == list(chain.fingerprints[:-1])


def test_store_judges_tls_certificates_at_both_ends() -> None:
    """The purpose that never signs is there to judge connections."""
    sample = sample_pki()
    for end in (sample.tls_server, sample.bank_tls):
        assert sample.trust.check_chain(end.certificate, [], Purpose.TLS, NOW).purpose is Purpose.TLS


def test_store_refuses_a_naive_time() -> None:
    """A time without a zone is a mistake of the caller."""
    naive = datetime(2026, 11, 2)  # noqa: DTZ001  # the mistake itself
    with pytest.raises(ValueError, match="aware"):
        sample_pki().trust.check_chain(sample_pki().bank.certificate, [], Purpose.INSTITUTION, naive)


def test_store_judges_the_anchor_by_its_own_dates() -> None:
    """An anchor that has ended vouches for nobody, though RFC 5280 would not ask."""
    short = make_authority("short-lived", now=NOW, days=1)
    everywhere = dict.fromkeys(Purpose, short)
    issued = DevelopmentPKI(NOW, everywhere, everywhere).issue_institution("91999999MA00BANK1L", "测试")
    store = TrustStore({Purpose.INSTITUTION: (short.der,)})
    store.check_chain(issued.certificate, [], Purpose.INSTITUTION, NOW)
    with pytest.raises(CertificateExpired):
        store.check_chain(issued.certificate, [], Purpose.INSTITUTION, NOW + 2 * DAY)


def test_authorities_of_a_store_are_read_once_and_strangers_never_kept() -> None:
    """What a store knows is read for the first search; what came along with a signature is read each time."""
    known, stranger = (
        parse_certificate(make_authority(name, now=NOW - DAY).der) for name in ("Known", "Stranger")
    )
    authorities = Authorities([known])
    assert authorities.read(known) is authorities.read(known)
    assert authorities.read(stranger) is not authorities.read(stranger)
    assert authorities.read(stranger).dump() == stranger.der


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads that change after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_threads_search_one_store_at_once() -> None:
    """Authorities that are shared are read lazily: no search sees one that another has half read."""
    pki = sample_pki().pki
    leaves = [pki.issue_institution(f"91320281{n:010d}", f"澄江测试银行{n}").certificate for n in range(8)]
    with ThreadPoolExecutor(len(leaves)) as pool:
        for _ in range(12):
            store = pki.trust_store()
            chains = pool.map(lambda one, at=store: at.check_chain(one, [], Purpose.INSTITUTION, NOW), leaves)
            assert [chain.certificates[0] for chain in chains] == leaves
