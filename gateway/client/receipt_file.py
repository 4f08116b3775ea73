"""What a bank keeps of an act: the signed bytes, the answer and the receipt, in one JSON file.

    {"schema": "diya-receipt/v1", "requestId": …, "registry": …,
     "envelope": DSSE JSON (docs/envelope-format.md),
     "sections": [{"name": …, "content": base64}],
     "outcome": protobuf JSON of diya.v1.Outcome without its receipt, null before the answer,
     "receipt": protobuf JSON of diya.v1.Receipt, null before the answer}

Written before an act is sent (without answer) it is what can be sent again, unchanged, after a lost
connection. With the answer it verifies offline, for ever, against the registry's verifier key
alone.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from gateway.client.errors import ReceiptInvalid
from gateway.client.local_files import make_folder, not_read, not_such_a_file, not_written
from gateway.client.payloads import header_of
from gateway.client.receipt import VerifiedReceipt, verify_answer, verify_quorum, verify_receipt
from gateway.client.session import Answer
from gateway.client.submissions import Submission
from gateway.client.trust import LedgerTrust
from gateway.pb.diya.v1 import envelope_pb2, outcome_pb2
from ledger.policy import Policy
from signing.envelope import Envelope, envelope_from_json, envelope_to_json, pae
from signing.errors import EnvelopeMalformed

SCHEMA: Final = "diya-receipt/v1"


@dataclass(frozen=True, slots=True)
class KeptAct:
    """An act as it is kept. outcome: None for an operator's act, and before the answer."""

    envelope: Envelope
    sections: tuple[envelope_pb2.Section, ...] = ()
    outcome: outcome_pb2.Outcome | None = None
    receipt: outcome_pb2.Receipt | None = None

    @classmethod
    def of_answer(cls, answer: Answer, sections: tuple[envelope_pb2.Section, ...] = ()) -> KeptAct:
        """What came back, for keeping. A rehearsal has no receipt."""
        outcome = outcome_pb2.Outcome()
        outcome.CopyFrom(answer.outcome)
        outcome.ClearField("receipt")
        receipt = answer.outcome.receipt if answer.outcome.HasField("receipt") else None
        return cls(answer.envelope, sections, outcome, receipt)

    @property
    def submission(self) -> Submission:
        """What is to be sent again."""
        return Submission(self.envelope, self.sections)

    @property
    def answer(self) -> Answer | None:
        """The answer with its receipt, not verified anew; None without one."""
        if self.outcome is None:
            return None
        outcome = outcome_pb2.Outcome()
        outcome.CopyFrom(self.outcome)
        if self.receipt is not None:
            outcome.receipt.CopyFrom(self.receipt)
        return Answer(self.envelope, outcome, None)

    def verify(self, trust: LedgerTrust, policy: Policy | None = None) -> VerifiedReceipt:
        """Checks 1 to 7, 9 where there is an answer, 10 where there is a policy; offline. Raises ReceiptInvalid."""
        if self.receipt is None:
            raise ReceiptInvalid(1, "the file holds no receipt", "文件中没有回执")
        sent = pae(self.envelope.payload_type, self.envelope.payload)
        verified = verify_receipt(self.receipt, sent, trust)
        registry = header_of(self.envelope).registry
        if registry != self.receipt.registry:
            raise ReceiptInvalid(2, f"the act is for registry {registry!r}", f"该行为属于登记机构 {registry}")
        if self.outcome is not None:
            verify_answer(self.outcome, verified)
        if policy is not None:
            verify_quorum(verified.note, policy)
        return verified


def write_act(path: Path, act: KeptAct) -> None:
    """Write the file, replacing an older one in one step. Its folder is made when missing. Raises InputError."""
    header = header_of(act.envelope)
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "requestId": header.request_id,
        "registry": header.registry,
        "envelope": json.loads(envelope_to_json(act.envelope)),
        "sections": [{"name": one.name, "content": b64encode(one.content).decode()} for one in act.sections],
        "outcome": None if act.outcome is None else MessageToDict(act.outcome),
        "receipt": None if act.receipt is None else MessageToDict(act.receipt),
    }
    make_folder(path.parent)
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise not_written(path, error) from error


def read_act(path: Path) -> KeptAct:
    """Read what `write_act` wrote. Nothing in it is trusted before `KeptAct.verify`. Raises
    InputError.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r} is not {SCHEMA!r}")
        outcome, receipt = data["outcome"], data["receipt"]
        return KeptAct(
            envelope_from_json(json.dumps(data["envelope"]).encode()),
            tuple(
                envelope_pb2.Section(name=one["name"], content=b64decode(one["content"], validate=True))
                for one in data.get("sections", ())
            ),
            None if outcome is None else ParseDict(outcome, outcome_pb2.Outcome()),
            None if receipt is None else ParseDict(receipt, outcome_pb2.Receipt()),
        )
    except OSError as error:
        raise not_read(path, error) from error
    except (KeyError, TypeError, ValueError, ParseError, EnvelopeMalformed) as error:
        shape, shape_zh = (
            f"a {SCHEMA} file, as `diya submit` keeps them",
            f" {SCHEMA} 文件（diya submit 存档的文件）",
        )
        raise not_such_a_file(path, error, shape, shape_zh) from error
