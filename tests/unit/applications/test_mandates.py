"""Who may sign what: limits of an institution, of its clerks, of its keys."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.applications.daily import per_day_of
from gateway.applications.mandates import (
    ClerkNotRegistered,
    MandateExceeded,
    SecondSignatureRequired,
    check_mandates,
    claim_of,
    steps_asked,
)
from gateway.cases.terms import (
    ChangeItem,
    ClaimFixing,
    MortgageChange,
    Operation,
    PreNoticeConvert,
    PreNoticeCreate,
)
from gateway.register.authority import Institution, KeyRole, Mandate, RegisteredClerk, RegisteredKey
from gateway.register.model import CertificateRef, PreNoticeKind
from tests.support import cases as c

SUBMIT = (KeyRole.SUBMIT,)
CLAIM = 80_000_000
PROOF = CertificateRef(number=c.PROOF)
HEADER = c.submission(c.mortgage_first(), {}).manifest.header
CLERK = RegisteredClerk(employee_no=HEADER.clerk.employee_no, name=HEADER.clerk.name)

FIXING = ClaimFixing(
    units=c.mortgage_first().units,
    proof=PROOF,
    mortgagors=(c.OWNER,),
    mortgagees=(c.BANK,),
    fixing_fact="",
    fixed_fen=7,
    fixed_on=dt.date(2026, 1, 1),
)


def key(letter: str, **changes: Any) -> RegisteredKey:
    """A signing key."""
    return RegisteredKey(key_id=letter * 64, roles=SUBMIT, **changes)


def bank(*keys: RegisteredKey, **changes: Any) -> Institution:
    """The applicant, with these keys."""
    return replace(c.institution(c.BANK), keys=keys or (key("a"),), **changes)


def check(
    institution: Institution, *operations: Operation, signed: str = "a", channel: Institution | None = None
) -> None:
    """An application signed by keys a, b, …"""
    submission = c.submission(c.mortgage_first(), {})
    terms = replace(submission.manifest.terms, operations=operations or (c.mortgage_first(),))
    key_ids = [letter * 64 for letter in signed]
    asked = steps_asked(terms)
    check_mandates(HEADER.clerk, asked, (institution, channel or institution), key_ids, SUBMIT, c.NOW)


def test_without_limits_everything_goes() -> None:
    """Nothing stated: everything that the roles allow."""
    check(bank())


@pytest.mark.parametrize(
    "mandate",
    [
        Mandate(operations=("MORTGAGE_FIRST",)),
        Mandate(claim_fen_max=CLAIM),
        Mandate(operations=("MORTGAGE_FIRST",), claim_fen_max=CLAIM),
    ],
)
def test_within_the_limit_it_goes(mandate: Mandate) -> None:
    """The claim itself is within it, and the operation is named: of institution, clerk and key alike."""
    check(bank(mandate=mandate))
    check(bank(key("a", mandate=mandate)))
    check(bank(clerks=(replace(CLERK, mandate=mandate),)))


@pytest.mark.parametrize(
    ("mandate", "told"),
    [
        (Mandate(operations=("MORTGAGE_RELEASE",)), {"operation": "MORTGAGE_FIRST"}),
        (Mandate(claim_fen_max=CLAIM - 1), {"limitFen": str(CLAIM - 1), "claimFen": str(CLAIM)}),
    ],
    ids=["operation", "claim"],
)
@pytest.mark.parametrize("whose", ["institution", "channel", "clerk", "key"])
def test_beyond_a_limit_it_is_refused_by_name(whose: str, mandate: Mandate, told: dict[str, str]) -> None:
    """Field, limit and amount are told, in both languages."""
    plain, limited = bank(), bank(mandate=mandate)
    applicant = {
        "institution": limited,
        "channel": plain,
        "clerk": bank(clerks=(replace(CLERK, mandate=mandate),)),
        "key": bank(key("a", mandate=mandate)),
    }[whose]
    with pytest.raises(MandateExceeded) as refused:
        check(applicant, channel=limited if whose == "channel" else None)
    assert refused.value.metadata == {"field": "terms.operations[0]", **told}
    assert refused.value.zh
    assert refused.value.en


def test_every_step_counts() -> None:
    """The second of two operations is over the limit by itself; what is told is what the act comes to."""
    big = c.mortgage_first(claim_amount_fen=CLAIM + 1)
    with pytest.raises(MandateExceeded) as refused:
        check(bank(mandate=Mandate(claim_fen_max=CLAIM)), c.mortgage_first(), big)
    assert refused.value.metadata["field"] == "terms.operations[1]"
    assert refused.value.metadata["claimFen"] == str(2 * CLAIM + 1)


@pytest.mark.parametrize("whose", ["institution", "channel", "clerk", "key"])
def test_mortgage_split_into_steps_is_one_amount(whose: str) -> None:
    """Three thirds under the limit, and their sum over it, are over it; at the sum they are within."""
    third = c.mortgage_first(claim_amount_fen=CLAIM // 4)
    over, exact = Mandate(claim_fen_max=CLAIM // 4 * 3 - 1), Mandate(claim_fen_max=CLAIM // 4 * 3)

    def split(mandate: Mandate) -> None:
        plain, limited = bank(), bank(mandate=mandate)
        applicant = {
            "institution": limited,
            "channel": plain,
            "clerk": bank(clerks=(replace(CLERK, mandate=mandate),)),
            "key": bank(key("a", mandate=mandate)),
        }[whose]
        check(applicant, third, third, third, channel=limited if whose == "channel" else None)

    split(exact)
    with pytest.raises(MandateExceeded) as refused:
        split(over)
    assert refused.value.metadata["field"] == "terms.operations"
    assert refused.value.metadata["claimFen"] == str(CLAIM // 4 * 3)


def test_split_mortgage_takes_two_keys_like_a_whole_one() -> None:
    """The institution's own sum is one of the act, too."""
    half = c.mortgage_first(claim_amount_fen=CLAIM // 2)
    two = bank(key("a"), key("b"), second_key_from_fen=CLAIM)
    check(two, half)
    with pytest.raises(SecondSignatureRequired):
        check(two, half, half)
    check(two, half, half, signed="ab")


def test_amount_in_another_currency_is_compared_with_no_limit_in_fen() -> None:
    """A hundred dollars are neither under nor over a limit in CNY: told by name, and signed by whoever has none."""
    dollars = c.mortgage_first(claim_amount_fen=100, currency="USD")
    limited = Mandate(claim_fen_max=CLAIM)
    with pytest.raises(MandateExceeded, match="USD") as refused:
        check(bank(mandate=limited), c.mortgage_first(claim_amount_fen=1), dollars)
    assert refused.value.metadata == {
        "field": "terms.operations[1]",
        "limitFen": str(CLAIM),
        "currency": "USD",
    }
    check(bank(mandate=Mandate(operations=("MORTGAGE_FIRST",))), dollars)
    check(bank(key("a", mandate=limited), key("b")), dollars, signed="ab")
    with pytest.raises(MandateExceeded):
        check(bank(key("a", mandate=limited), key("b")), dollars, signed="a")


def test_amount_in_another_currency_takes_the_second_key() -> None:
    """Nobody here can say that it is below the institution's sum in CNY."""
    dollars = c.mortgage_first(claim_amount_fen=100, currency="USD")
    two = bank(key("a"), key("b"), second_key_from_fen=CLAIM)
    with pytest.raises(SecondSignatureRequired) as refused:
        check(two, dollars)
    assert refused.value.metadata == {
        "secondKeyFromFen": str(CLAIM),
        "claimFen": "0",  # of what can be counted
        "currency": "USD",
    }
    check(two, dollars, signed="ab")
    check(bank(), dollars)


def test_outlets_key_signs_for_the_clerks_of_its_outlet() -> None:
    """A sub-branch that the authority authorised (S13, S16) files by its own clerks with its own key."""
    east, west = key("a", outlet="城东支行"), key("b", outlet="城西支行")
    clerks = (replace(CLERK, outlet="城东支行"),)
    check(bank(east, west, clerks=clerks), signed="a")
    check(bank(east, west, clerks=clerks), signed="ab")
    with pytest.raises(MandateExceeded, match="城西支行") as refused:
        check(bank(east, west, clerks=clerks), signed="b")
    assert refused.value.metadata == {"field": "header.clerk", "outlet": "城西支行"}
    with pytest.raises(MandateExceeded):
        check(bank(east), signed="a")  # whose outlet the clerk is of, nobody can say
    with pytest.raises(SecondSignatureRequired):
        check(bank(east, west, clerks=clerks, second_key_from_fen=1), signed="ab")


def test_fixed_claim_has_a_currency_of_its_own() -> None:
    """What a fixing states is compared like any other amount."""
    with pytest.raises(MandateExceeded, match="USD"):
        check(bank(mandate=Mandate(claim_fen_max=CLAIM)), replace(FIXING, currency="USD"))


def test_one_able_key_is_enough() -> None:
    """A clerk's small key and a manager's under one envelope."""
    small, large = key("a", mandate=Mandate(claim_fen_max=1)), key("b")
    check(bank(small, large), signed="ab")
    with pytest.raises(MandateExceeded, match="签名密钥"):
        check(bank(small, large), signed="a")


def test_from_the_institutions_sum_on_two_able_keys_sign() -> None:
    """Neither a key that may not, nor one that has ended, nor a stranger's is the second."""
    keys = (
        key("a"),
        key("b"),
        key("c", mandate=Mandate(claim_fen_max=1)),
        key("d", not_after=c.NOW),
        RegisteredKey(key_id="e" * 64, roles=(KeyRole.CONSENT,)),
    )
    two = bank(*keys, second_key_from_fen=CLAIM)
    check(two, signed="ab")
    for signed in ("a", "ac", "ad", "ae", "af"):
        with pytest.raises(SecondSignatureRequired) as refused:
            check(two, signed=signed)
        assert refused.value.metadata == {"secondKeyFromFen": str(CLAIM), "claimFen": str(CLAIM)}
    check(replace(two, second_key_from_fen=CLAIM + 1), signed="a")


def test_second_key_is_the_institutions_own() -> None:
    """The system that files for it does not sign as its second person, though its key may sign the application."""
    applicant = bank(key("a"), second_key_from_fen=CLAIM)
    channel = replace(c.institution(c.OTHER_BANK), keys=(key("b"),))
    with pytest.raises(SecondSignatureRequired):
        check(applicant, signed="ab", channel=channel)
    check(replace(applicant, keys=(key("a"), key("c"))), signed="abc", channel=channel)


@pytest.mark.parametrize(
    "changes",
    [
        {"employee_no": "another"},
        {"name": "另一人"},
        {"not_after": c.NOW},
        {"not_before": c.NOW + dt.timedelta(seconds=1)},
    ],
    ids=["number", "name", "ended", "not-begun"],
)
def test_where_clerks_are_registered_the_header_names_one(changes: dict[str, Any]) -> None:
    """Number, name and term must fit."""
    check(bank(clerks=(CLERK,)))
    with pytest.raises(ClerkNotRegistered):
        check(bank(clerks=(replace(CLERK, **changes),)))


def test_claim_of_each_operation() -> None:
    """What is secured afterwards, of every operation that secures something."""
    first = c.mortgage_first(claim_amount_fen=None, max_claim_amount_fen=7)
    units = first.units
    change = MortgageChange(units=units, proof=PROOF, items=(ChangeItem.AMOUNT,), content=first)
    notice = PreNoticeCreate(
        units=units, kind=PreNoticeKind.OTHER_MORTGAGE, holders=(c.BANK,), obligors=(c.OWNER,), mortgage=first
    )
    convert = PreNoticeConvert(units=units, proof=PROOF, mortgage=first)
    assert [claim_of(op) for op in (first, change, notice, FIXING, convert)] == [(7, "CNY")] * 5
    assert claim_of(replace(first, currency="USD")) == (7, "USD")
    assert claim_of(c.mortgage_release()) == (0, "CNY")


@pytest.mark.parametrize(
    ("profile", "own", "per_day"), [(0, 0, 0), (5, 0, 5), (0, 3, 3), (5, 3, 3), (3, 5, 3)]
)
def test_the_lower_quota_holds(profile: int, own: int, per_day: int) -> None:
    """The profile's for everybody, the institution's for itself."""
    assert (
        per_day_of(replace(c.PROFILE, submissions_per_day=profile), bank(submissions_per_day=own)) == per_day
    )
