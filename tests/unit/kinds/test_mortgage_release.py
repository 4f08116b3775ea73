"""MORTGAGE_RELEASE as the law has it (RD 70; handbook 11, 3, 30, 35, 36)."""

from __future__ import annotations

import datetime as dt

import pytest
from msgspec.structs import replace

from gateway.cases.effects import CertificateEnded, RightEnded
from gateway.cases.model import OpenCase, Result, State
from gateway.cases.terms import ReleaseGround
from gateway.register.model import CertificateRef, Party, Seizure, SeizureKind
from tests.support import cases as c


def test_release_by_mortgagee_of_record_is_booked_within_its_submission() -> None:
    """Golden 3: the mortgagee alone; the row becomes historical, the e-proof is void."""
    here = c.world(c.unit_state(c.mortgage_row()), certificates_by_number={c.PROOF: "1.2.156.x"})
    decision = c.decide(here, c.submission(c.mortgage_release(), c.release_papers()))
    assert decision.outcome.result is Result.BOOKED
    [ended] = [e for e in decision.effects if isinstance(e, RightEnded)]
    assert ended.right_id == "0.2"
    [void] = [e for e in decision.effects if isinstance(e, CertificateEnded)]
    assert (void.identifier, void.state) == ("1.2.156.x", "CANCELLED")
    assert decision.contents == ()


def test_release_by_other_bank_is_not_accepted() -> None:
    """Only the mortgagee of record releases."""
    operation = c.mortgage_release(mortgagees=(c.OTHER_BANK,))
    what = c.submission(operation, c.release_papers(c.OTHER_BANK), applicant=c.OTHER_BANK)
    decision = c.decide(c.world(c.unit_state(c.mortgage_row())), what)
    assert ("N-NOT_APPLICANT", "R-CONFLICT") in c.codes(decision)
    assert decision.outcome.result is Result.NOT_ACCEPTED


def test_release_filed_by_other_bank_in_the_mortgagees_name_awaits_the_mortgagee() -> None:
    """Another bank's signature does not bind the mortgagee."""
    what = c.submission(c.mortgage_release(), c.release_papers(), applicant=c.OTHER_BANK)
    decision = c.decide(c.world(c.unit_state(c.mortgage_row())), what)
    assert decision.outcome.result is Result.AWAITING_PARTIES


def test_release_of_unknown_proof_is_not_accepted() -> None:
    """A proof number that no live mortgage bears conflicts with the register."""
    operation = c.mortgage_release(proof=CertificateRef(number="苏(2022)江阴市不动产证明第0009999号"))
    decision = c.decide(c.world(c.unit_state(c.mortgage_row())), c.submission(operation, c.release_papers()))
    assert ("N-BARRED", "R-CONFLICT") in c.codes(decision)


def test_release_with_full_width_brackets_names_the_same_proof() -> None:
    """Full-width brackets are the same number (handbook 4.2)."""
    number = c.PROOF.replace("(", "（").replace(")", "）")
    operation = c.mortgage_release(proof=CertificateRef(number=number))
    decision = c.decide(c.world(c.unit_state(c.mortgage_row())), c.submission(operation, c.release_papers()))
    assert decision.outcome.result is Result.BOOKED


def test_release_without_settlement_statement_is_not_accepted() -> None:
    """The paper by which the mortgage ended must be there (RD 70)."""
    decision = c.decide(c.world(c.unit_state(c.mortgage_row())), c.submission(c.mortgage_release(), {}))
    assert [f.file for f in decision.outcome.findings if f.code == "N-INCOMPLETE"] == ["EXTINCTION"]


def test_release_statement_not_sealed_by_mortgagee_is_not_accepted() -> None:
    """The mortgagee seals it, nobody else."""
    what = c.submission(c.mortgage_release(), c.release_papers(c.OTHER_BANK))
    decision = c.decide(c.world(c.unit_state(c.mortgage_row())), what)
    assert "C-SIGNATURE" in {f.code for f in decision.outcome.findings}
    assert decision.outcome.result is Result.NOT_ACCEPTED


@pytest.mark.parametrize(
    ("target", "result"), [(c.OWNER, Result.BOOKED), (c.BANK, Result.ACCEPTED)], ids=["owner", "mortgagee"]
)
def test_release_of_seized_unit_is_booked_but_not_of_a_seized_claim(target: Party, result: Result) -> None:
    """Golden 30: a release lightens the unit and harms no creditor of the owner; it harms the mortgagee's own."""
    seizure = Seizure(
        right_id="0.9", units=(c.UNIT,), case_number="", booked_at=c.NOW, booked_by="导入", kind=SeizureKind.SEIZURE,
        target=target, extent="全部", authority="某法院", instrument_no="(2026)执1号", served_at=c.NOW,
        until=dt.date(2029, 1, 1),
    )  # fmt: skip
    decision = c.decide(
        c.world(c.unit_state(c.mortgage_row(), seizure)),
        c.submission(c.mortgage_release(), c.release_papers()),
    )
    assert decision.outcome.result is result
    rules = {f.rule for f in decision.outcome.findings}
    assert ("BLOCKS_SEIZURE_TARGET_NOT_OWNER" in rules) == (target is c.BANK)


@pytest.mark.parametrize(
    ("rights", "result"),
    [((), Result.BOOKED), (("0.2",), Result.ACCEPTED)],
    ids=["other-right", "same-right"],
)
def test_release_passes_the_queue_unless_it_names_the_same_right(
    rights: tuple[str, ...], result: Result
) -> None:
    """Golden 35 and 36: it does not queue behind another right's case."""
    earlier = OpenCase(application_id="x", accepted_index=1, rights=rights)
    here = c.world(c.unit_state(c.mortgage_row()), open_cases={c.UNIT: (earlier,)})
    decision = c.decide(here, c.submission(c.mortgage_release(), c.release_papers()))
    assert decision.outcome.result is result


def test_release_on_another_ground_goes_to_a_person() -> None:
    """Realised or otherwise ended: a person looks at the papers (CC 393)."""
    operation = c.mortgage_release(ground=ReleaseGround.REALISED)
    decision = c.decide(c.world(c.unit_state(c.mortgage_row())), c.submission(operation, c.release_papers()))
    assert decision.outcome.state is State.ACCEPTED


def test_release_of_part_of_the_units_is_not_accepted() -> None:
    """A full release names every unit of the mortgage."""
    mortgage = c.mortgage_row(units=(c.UNIT, "320281001001GB00001F00010002"))
    decision = c.decide(
        c.world(c.unit_state(mortgage)), c.submission(c.mortgage_release(), c.release_papers())
    )
    assert decision.outcome.result is Result.NOT_ACCEPTED


def test_release_by_former_code_of_the_institution_is_the_same_institution() -> None:
    """The alias table reads an old code as the new one (handbook 3.1)."""
    renamed = replace(c.institution(c.BANK), uscc_aliases=("91320281MA1MTTKC8Q",))
    here = c.world(c.unit_state(c.mortgage_row()), institutions={c.BANK_USCC: renamed})
    decision = c.decide(here, c.submission(c.mortgage_release(), c.release_papers()))
    assert decision.outcome.result is Result.BOOKED
