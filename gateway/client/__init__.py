"""The Python client that a bank's loan system embeds. It ships alone: contract, signing, ledger
proofs.

Where to start: docs/client.md, then `client.py` (what a bank does), `manifest.py` and
`operations.py` (what it signs), `receipt.py` (what it must check of an answer), `errors.py` (what
can go wrong).
"""

from __future__ import annotations

from gateway.client.acts import target_of, target_of_envelope
from gateway.client.admin import AdminClient
from gateway.client.checkpoints import FolderCheckpoints, MemoryCheckpoints
from gateway.client.client import DiyaClient
from gateway.client.connection import Connection, Deadlines, connect, connect_public
from gateway.client.errors import DiyaError, ProofError, ReceiptInvalid, RequestError
from gateway.client.ledger import LedgerClient
from gateway.client.manifest import sign_submission, sign_submissions
from gateway.client.party import PartyClient
from gateway.client.reasons import ErrorReason
from gateway.client.receipt import VerifiedReceipt, verify_receipt
from gateway.client.retry import RetryPolicy
from gateway.client.review import ReviewClient
from gateway.client.session import Actor, Answer, Session
from gateway.client.submissions import Submission
from gateway.client.trust import LedgerTrust, read_trust

__all__ = [
    "Actor",
    "AdminClient",
    "Answer",
    "Connection",
    "Deadlines",
    "DiyaClient",
    "DiyaError",
    "ErrorReason",
    "FolderCheckpoints",
    "LedgerClient",
    "LedgerTrust",
    "MemoryCheckpoints",
    "PartyClient",
    "ProofError",
    "ReceiptInvalid",
    "RequestError",
    "RetryPolicy",
    "ReviewClient",
    "Session",
    "Submission",
    "VerifiedReceipt",
    "connect",
    "connect_public",
    "read_trust",
    "sign_submission",
    "sign_submissions",
    "target_of",
    "target_of_envelope",
    "verify_receipt",
]
