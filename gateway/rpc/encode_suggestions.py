"""Suggested modes on the wire. Names as the register has them; no identity number is told."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.kinds.law import PaperRule
from gateway.kinds.suggesting import SuggestedPhase, SuggestedStep, Suggestion
from gateway.pb.diya.v1 import codes_pb2
from gateway.pb.diya.v1 import register_service_pb2 as pb
from gateway.rpc.encode import finding


def suggestion(value: Suggestion) -> pb.ModeSuggestion:
    """One mode."""
    return pb.ModeSuggestion(
        mode=codes_pb2.EncumberedTransferMode.Value(f"ENCUMBERED_TRANSFER_MODE_{value.mode.code}"),
        fits=value.fits,
        reasons=[finding(f) for f in value.reasons],
        needed=[finding(f) for f in value.needed],
        cautions=[finding(f) for f in value.cautions],
        phases=[_phase(phase) for phase in value.phases],
    )


def _phase(value: SuggestedPhase) -> pb.SuggestedPhase:
    return pb.SuggestedPhase(
        number=value.number,
        steps=[_step(step) for step in value.steps],
        papers=_papers(value.papers),
        gates=[gate.value for gate in value.gates],
        taxes=[codes_pb2.TaxKind.Value(f"TAX_KIND_{tax}") for tax in value.taxes],
    )


def _step(value: SuggestedStep) -> pb.SuggestedStep:
    name = value.operation.partition("/")[0]
    return pb.SuggestedStep(
        operation=codes_pb2.OperationKind.Value(f"OPERATION_KIND_{name}"),
        step=value.operation,
        applicants=[
            pb.SuggestedApplicant(name=a.party.name, role_zh=a.role_zh, role_en=a.role_en, article=a.article)
            for a in value.applicants
        ],
        papers=_papers(value.papers),
    )


def _papers(rules: Iterable[PaperRule]) -> list[pb.SuggestedPaper]:
    return [
        pb.SuggestedPaper(
            paper_code=rule.code,
            name_zh=rule.zh,
            name_en=rule.en,
            article=rule.article,
            signers=[party.name for party in rule.signers],
        )
        for rule in rules
    ]
