"""Receipts: every numbered check holds for a good one, and each goes red by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.client.errors import ReceiptInvalid
from gateway.client.receipt import (
    CHECKS,
    verify_answer,
    verify_part,
    verify_progress,
    verify_receipt,
)
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import outcome_pb2
from ledger.entry import parse_entry
from ledger.hashing import leaf_hash
from signing.envelope import pae
from tests.unit.client.sample_case import signed
from tests.unit.client.sample_ledger import REGISTRY, SampleLedger

Receipt = outcome_pb2.Receipt
Case = tuple[SampleLedger, Receipt, bytes, outcome_pb2.Outcome]


@pytest.fixture(scope="module")
def case() -> Case:
    """A booked application at index 3 of 9."""
    ledger = SampleLedger()
    ledger.fill(3)
    envelope = signed()
    outcome = outcome_pb2.Outcome(
        result=outcome_pb2.OUTCOME_RESULT_BOOKED,
        application=f"registries/{REGISTRY}/applications/a",
    )
    index = ledger.append_act(envelope, outcome)
    ledger.fill(5)
    return ledger, ledger.receipt(index), pae(envelope.payload_type, envelope.payload), outcome


def copy(receipt: Receipt) -> Receipt:
    """A receipt to spoil."""
    made = Receipt()
    made.CopyFrom(receipt)
    return made


def test_receipt_good_passes_every_check(case: Case) -> None:
    """A receipt that is right verifies, and tells what it proves."""
    ledger, receipt, sent, outcome = case
    verified = verify_receipt(receipt, sent, ledger.trust)
    verify_answer(outcome, verified)
    assert (verified.registry, verified.index, verified.checkpoint.size) == (REGISTRY, 3, 9)
    assert set(verified.contents) == {"outcome"}


def _pending(receipt: Receipt) -> None:
    receipt.pending = True


def _registry(receipt: Receipt) -> None:
    receipt.registry = "elsewhere"


def _origin(receipt: Receipt) -> None:
    receipt.origin = "ledger.example/other"


def _note_byte(receipt: Receipt) -> None:
    receipt.checkpoint = receipt.checkpoint.replace(b"\n9\n", b"\n8\n")


def _uncovered(receipt: Receipt) -> None:
    receipt.index = 9


def _hash(receipt: Receipt) -> None:
    receipt.entry_hash = bytes(32)


def _entry_byte(receipt: Receipt) -> None:
    receipt.entry = receipt.entry.replace(b"submitted", b"withdrawn")
    receipt.entry_hash = leaf_hash(receipt.entry)


def _proof_hash(receipt: Receipt) -> None:
    receipt.inclusion_proof[0] = bytes(32)


def _proof_short(receipt: Receipt) -> None:
    del receipt.inclusion_proof[-1]


def _other_index(receipt: Receipt) -> None:
    receipt.index = 4


def _salt(receipt: Receipt) -> None:
    receipt.openings[0].salt = bytes(32)


def _salt_short(receipt: Receipt) -> None:
    receipt.openings[0].salt = b"short"


def _outcome_content(receipt: Receipt) -> None:
    receipt.openings[1].content += b" "


def _unknown_part(receipt: Receipt) -> None:
    receipt.openings[1].name = "certificate/1"


def _no_payload(receipt: Receipt) -> None:
    del receipt.openings[0]


def _two_payloads(receipt: Receipt) -> None:
    receipt.openings.add().CopyFrom(receipt.openings[0])


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (_pending, 1),
        (_registry, 2),
        (_origin, 2),
        (_note_byte, 3),
        (_uncovered, 3),
        (_hash, 4),
        (_entry_byte, 5),
        (_proof_hash, 5),
        (_proof_short, 5),
        (_other_index, 5),
        (_salt, 7),
        (_salt_short, 7),
        (_outcome_content, 7),
        (_unknown_part, 7),
        (_no_payload, 7),
        (_two_payloads, 7),
    ],
)
def test_receipt_spoiled_raises_its_check(case: Case, spoil: Callable[[Receipt], None], check: int) -> None:
    """Whatever is changed in a receipt, the check that is about it goes red."""
    ledger, receipt, sent, _ = case
    spoiled = copy(receipt)
    spoil(spoiled)
    with pytest.raises(ReceiptInvalid) as caught:
        verify_receipt(spoiled, sent, ledger.trust)
    assert caught.value.check == check


def test_receipt_of_other_payload_raises_check_7(case: Case) -> None:
    """A receipt for other bytes than this side sent is no receipt."""
    ledger, receipt, sent, _ = case
    with pytest.raises(ReceiptInvalid) as caught:
        verify_receipt(receipt, sent[:-1] + b"!", ledger.trust)
    assert caught.value.check == 7


def test_receipt_signed_by_untrusted_key_raises_check_3(case: Case) -> None:
    """A key of the same name that nobody trusts signs nothing."""
    ledger, receipt, sent, _ = case
    trust = LedgerTrust({REGISTRY: [SampleLedger(seed=8).signer.vkey]})
    with pytest.raises(ReceiptInvalid) as caught:
        verify_receipt(receipt, sent, trust)
    assert caught.value.check == 3
    both = LedgerTrust({REGISTRY: [SampleLedger(seed=8).signer.vkey, ledger.signer.vkey]})
    assert verify_receipt(receipt, sent, both).index == 3


def test_receipt_entry_that_is_no_entry_raises_check_6() -> None:
    """A leaf of the tree that is not an entry of the format is refused."""
    ledger = SampleLedger()
    ledger.entries = [b"not an entry\n"]
    ledger.parts = [{}]
    with pytest.raises(ReceiptInvalid) as caught:
        verify_receipt(ledger.receipt(0), None, ledger.trust)
    assert caught.value.check == 6


def test_receipt_entry_that_names_another_index_raises_check_6() -> None:
    """An entry that stands at another place than it says is refused."""
    ledger = SampleLedger()
    ledger.fill(2)
    ledger.entries[1] = ledger.entries[0]
    with pytest.raises(ReceiptInvalid) as caught:
        verify_receipt(ledger.receipt(1), None, ledger.trust)
    assert caught.value.check == 6


def test_answer_other_than_logged_raises_check_9(case: Case) -> None:
    """An answer that says more than the ledger is an alarm."""
    ledger, receipt, sent, outcome = case
    verified = verify_receipt(receipt, sent, ledger.trust)
    said = outcome_pb2.Outcome()
    said.CopyFrom(outcome)
    said.result = outcome_pb2.OUTCOME_RESULT_ACCEPTED
    with pytest.raises(ReceiptInvalid) as caught:
        verify_answer(said, verified)
    assert caught.value.check == 9


def test_progress_consistent_ledgers_pass_in_either_order() -> None:
    """An older and a newer checkpoint of one history agree, whichever is seen first."""
    ledger = SampleLedger()
    ledger.fill(11)
    old, new, proof = ledger.checkpoint(4), ledger.checkpoint(11), ledger.consistency(4, 11)
    verify_progress(old, new, proof)
    verify_progress(new, old, proof)
    verify_progress(new, new, [])


def test_progress_forked_ledger_raises_check_8() -> None:
    """Two histories under one key are found out."""
    ledger, fork = SampleLedger(), SampleLedger()
    ledger.fill(5)
    fork.append({"effects": b"another history"})
    fork.fill(10)
    for seen, proof in ((fork.checkpoint(11), fork.consistency(5, 11)), (fork.checkpoint(5), [])):
        with pytest.raises(ReceiptInvalid) as caught:
            verify_progress(ledger.checkpoint(5), seen, proof)
        assert caught.value.check == 8


def test_part_missing_or_other_raises_check_7(case: Case) -> None:
    """A part that the entry does not name, or whose bytes differ, proves nothing."""
    ledger, receipt, _, _ = case
    entry = parse_entry(receipt.entry)
    for name in ("certificate/1", "outcome"):
        with pytest.raises(ReceiptInvalid) as caught:
            verify_part(entry, name, bytes(32), b"content")
        assert caught.value.check == 7


def test_checks_are_numbered_without_a_gap() -> None:
    """The list that people are shown has every number once."""
    assert [number for number, _, _ in CHECKS] == list(range(1, 10))
