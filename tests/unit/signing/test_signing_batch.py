"""One signature over many payloads: each envelope of the batch verifies alone, and says nothing of any other."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import ProofError
from ledger.hashing import leaf_hash
from ledger.proof import verify_inclusion
from ledger.tree import Frontier
from signing.algorithms import verify_signature
from signing.batch import BATCH_SIZE_MAX, BATCH_TYPE, BatchPath, batch_payload, paths_of, root_of
from signing.envelope import Envelope, batch_message, envelope_from_json, envelope_to_json, pae
from signing.errors import EnvelopeMalformed, SignatureInvalid, SigningError
from signing.signer import add_signature, sign_batch, sign_envelope
from signing.trust import Purpose
from signing.verify import VerifiedEnvelope, verify_envelope
from tests.support.pki import NOW, sample_pki

TYPE = "application/vnd.diya.manifest.v1+protobuf"


def _payloads(count: int) -> list[tuple[str, bytes]]:
    return [(TYPE, f"payload {number}".encode()) for number in range(count)]


def _batch(count: int) -> tuple[Envelope, ...]:
    return sign_batch(_payloads(count), sample_pki().bank.signer())


def _verify(envelope: Envelope) -> VerifiedEnvelope:
    return verify_envelope(envelope, Purpose.INSTITUTION, sample_pki().trust, NOW)


def _with(envelope: Envelope, path: BatchPath | None) -> Envelope:
    changed = msgspec.structs.replace(envelope.signatures[0], batch=path)
    return msgspec.structs.replace(envelope, signatures=(changed, *envelope.signatures[1:]))


def _path(envelope: Envelope) -> BatchPath:
    path = envelope.signatures[0].batch
    assert path is not None
    return path


@given(st.integers(min_value=1, max_value=130))
def test_the_tree_is_that_of_rfc_9162(size: int) -> None:
    """Root and every path as the ledger's own, separate implementation has them."""
    messages = [pae(*one) for one in _payloads(size)]
    root, paths = paths_of(messages)
    leaves = [leaf_hash(message) for message in messages]
    assert root == Frontier().extend(leaves).root()
    for path, leaf, message in zip(paths, leaves, messages, strict=True):
        verify_inclusion(path.index, size, leaf, path.hashes, root)
        assert root_of(message, path) == root


@given(
    st.integers(1, 70),
    st.integers(0, 69),
    st.integers(1, 70),
    st.lists(st.binary(min_size=32, max_size=32), max_size=8),
)
def test_a_path_leads_to_the_root_or_is_refused_as_the_ledger_refuses_it(
    size: int, index: int, claimed: int, hashes: Sequence[bytes]
) -> None:
    """Whatever path is claimed: ours and the ledger's judge alike."""
    messages = [pae(*one) for one in _payloads(size)]
    root, paths = paths_of(messages)
    path = BatchPath(index % claimed, claimed, tuple(hashes) or paths[index % size].hashes)
    message = messages[index % size]
    try:
        ours = root_of(message, path) == root
    except SignatureInvalid:
        ours = False
    try:
        verify_inclusion(path.index, path.size, leaf_hash(message), path.hashes, root)
        ledgers = True
    except ProofError:
        ledgers = False
    assert ours == ledgers


@pytest.mark.parametrize("count", [1, 2, 3, 64, 100])
def test_each_envelope_of_a_batch_verifies_alone(count: int) -> None:
    """One signature value, and each payload with its own digest, also from a file."""
    batch = _batch(count)
    assert len({envelope.signatures[0].signature for envelope in batch}) == 1
    for envelope, (_, payload) in zip(batch, _payloads(count), strict=True):
        read = envelope_from_json(envelope_to_json(envelope))
        assert read == envelope
        verified = _verify(read)
        assert verified.payload == payload
        assert verified.digest == _verify(sign_envelope(TYPE, payload, [sample_pki().bank.signer()])).digest


def test_what_was_signed_is_the_documents_message() -> None:
    """Size and root under the batch's own type: anybody's library can verify the value."""
    batch = _batch(5)
    root, _ = paths_of([pae(*one) for one in _payloads(5)])
    message = b"DSSEv1 29 application/vnd.diya.batch.v1 40 " + (5).to_bytes(8, "big") + root
    assert message == batch_message(5, root)
    signature = batch[3].signatures[0]
    certificate = sample_pki().bank.certificate
    verify_signature(
        certificate.public_key, sample_pki().bank.signer().algorithm, signature.signature, message
    )


def test_another_signer_may_sign_one_of_a_batch() -> None:
    """A second signature over the payload alone stands beside that of the batch."""
    both = add_signature(_batch(4)[2], sample_pki().second_bank.signer())
    assert len(_verify(both).signers) == 2


@pytest.mark.parametrize(
    "changed",
    [
        lambda path: msgspec.structs.replace(path, index=path.index + 1),
        lambda path: msgspec.structs.replace(path, size=path.size + 1),
        lambda path: msgspec.structs.replace(path, hashes=path.hashes[:-1]),
        lambda path: msgspec.structs.replace(path, hashes=(*path.hashes, bytes(32))),
        lambda path: msgspec.structs.replace(path, hashes=path.hashes[::-1]),
        lambda path: msgspec.structs.replace(path, hashes=(bytes(32), *path.hashes[1:])),
        lambda path: None,
    ],
    ids=["index", "size", "shorter", "longer", "reversed", "hash", "no-path"],
)
def test_a_changed_path_is_refused(changed: object) -> None:
    """Every part of the path is bound to the signature."""
    envelope = _batch(7)[2]
    assert _verify(envelope)
    assert callable(changed)
    with pytest.raises(SignatureInvalid):
        _verify(_with(envelope, changed(_path(envelope))))


def test_a_path_serves_no_other_payload() -> None:
    """Neither a neighbour's payload nor one that was never in the batch."""
    first, second, *_ = _batch(8)
    for payload in (second.payload, b"never signed"):
        with pytest.raises(SignatureInvalid):
            _verify(msgspec.structs.replace(first, payload=payload))


def test_a_remembered_batch_does_not_outlive_its_certificate() -> None:
    """The value is checked once, the certificate for every payload."""
    first, second = _batch(2)
    assert _verify(first)
    revoking = sample_pki().trust_revoking(sample_pki().bank)
    with pytest.raises(SigningError) as refused:
        verify_envelope(second, Purpose.INSTITUTION, revoking, NOW)
    assert refused.value.reason == "CERTIFICATE_REVOKED"


def test_a_root_is_no_payload() -> None:
    """An envelope of the batch's own type would be a signature over a batch that nobody saw."""
    root, _ = paths_of([pae(*one) for one in _payloads(2)])
    with pytest.raises(EnvelopeMalformed, match="batch"):
        sign_envelope(BATCH_TYPE, batch_payload(2, root), [sample_pki().bank.signer()])
    whole = sign_envelope(TYPE, b"payload 0", [sample_pki().bank.signer()])
    with pytest.raises(EnvelopeMalformed, match="batch"):
        _verify(msgspec.structs.replace(whole, payload_type=BATCH_TYPE))


@pytest.mark.parametrize(
    "path",
    [
        BatchPath(-1, 2, ()),
        BatchPath(2, 2, ()),
        BatchPath(0, 0, ()),
        BatchPath(0, BATCH_SIZE_MAX + 1, ()),
        BatchPath(0, 2, (bytes(31),)),
        BatchPath(0, 2, (bytes(32),) * 17),
    ],
    ids=["negative", "beyond", "empty", "too-large", "short-hash", "too-long"],
)
def test_a_path_of_no_batch_is_malformed(path: BatchPath) -> None:
    """Limits before any hashing."""
    with pytest.raises(EnvelopeMalformed, match=r"signatures\[0\].batch"):
        _verify(_with(_batch(2)[0], path))


def test_nothing_is_signed_for_a_batch_of_none_or_with_a_bad_payload() -> None:
    """The key is not asked before everything is in order."""

    class Counting:
        signed = 0
        certificates = sample_pki().bank.certificates
        algorithm = sample_pki().bank.signer().algorithm

        def sign(self, message: bytes) -> bytes:
            self.signed += 1
            return sample_pki().bank.signer().sign(message)

    signer = Counting()
    with pytest.raises(ValueError, match="1 to 65536"):
        sign_batch([], signer)
    with pytest.raises(EnvelopeMalformed):
        sign_batch([(TYPE, b"good"), (TYPE, b"")], signer)
    assert signer.signed == 0
