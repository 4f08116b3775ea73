"""Forms rendered from the terms: the terms inside byte for byte, the words for the person who signs."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Callable
from typing import Any

import msgspec
import pypdf
import pytest
from msgspec.structs import replace

from gateway.cases.stated import Declaration, DeclarationKind, StatedUnit
from gateway.cases.terms import MortgageFirst, MortgageRelease, OtherOperation, ReleaseGround, Terms
from gateway.certificates.glyphs import GLOSS
from gateway.certificates.reading import plain, read_attachments
from gateway.forms.describe import NotOnFormError, describe
from gateway.forms.papers import contract_pdf
from gateway.forms.questions import questions_for, usual_answers
from gateway.forms.render import SIGNERS_MAX, render_application_form, render_inquiry_record
from gateway.forms.signers import signers_of
from gateway.register.model import (
    CertificateRef,
    IdKind,
    MortgageKind,
    MortgagorRelation,
    Owner,
    Party,
    TransferRestriction,
)
from signing.pdf import check_pdf
from signing.seal import append_signature
from tests.support import deals
from tests.support.certificates import BANK, OWNER, SPOUSE, unit
from tests.support.pki import BUYER_ID, NOW, SELLER_ID, SPOUSE_ID, sample_pki

BUYER = Party(name="乙测试", id_kind=OWNER.id_kind, id_number=BUYER_ID)
REGISTRY = "测试市不动产登记中心"


def first(**changes: Any) -> MortgageFirst:
    """A couple mortgages its flat for one's debt."""
    values: dict[str, Any] = {
        "units": (unit().unit_code,),
        "kind": MortgageKind.ORDINARY,
        "mortgagors": (OWNER, SPOUSE),
        "mortgagees": (BANK,),
        "debtors": (OWNER,),
        "mortgagor_relation": MortgagorRelation.DEBTOR,
        "claim_amount_fen": 123_450_000,
        "term_start": dt.date(2026, 11, 2),
        "term_end": dt.date(2056, 11, 1),
        "secured_scope": "主债权及利息",
        "transfer_restriction": TransferRestriction.RESTRICTED,
        "contract_number": "HT-2026-1",
        "titles": (CertificateRef(number="苏(2020)测试市不动产权第0000007号"),),
    }
    return MortgageFirst(**{**values, **changes})


RELEASE = MortgageRelease(
    units=(unit().unit_code,),
    proof=CertificateRef(number="苏(2020)测试市不动产证明第0000003号"),
    mortgagees=(BANK,),
    ground=ReleaseGround.CLAIM_SETTLED,
    settled_on=dt.date(2026, 11, 1),
)
TERMS = Terms(registry="r1", operations=(first(),))
TERMS_BYTES = b"\x00\xff\x80 not UTF-8 \r\n" + msgspec.json.encode(TERMS)


def form(terms: Terms = TERMS, **changes: Any) -> bytes:
    """The application form of the couple."""
    values: dict[str, Any] = {
        "signers": [OWNER, SPOUSE],
        "registry_name": REGISTRY,
        "created_at": NOW,
        "units": {unit().unit_code: unit()},
    }
    return render_application_form(terms, TERMS_BYTES, **{**values, **changes})


def record(respondent: Party = OWNER, terms: Terms = TERMS, **answers: str) -> bytes:
    """The record of questions of one person."""
    return render_inquiry_record(
        terms,
        TERMS_BYTES,
        respondent=respondent,
        answers=answers,
        registry_name=REGISTRY,
        created_at=NOW,
    )


def words(pdf: bytes) -> str:
    """All text of a PDF, without white space."""
    return plain("".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages))


@pytest.mark.parametrize("make", [form, record])
def test_form_embeds_the_terms_byte_for_byte(make: Callable[[], bytes]) -> None:
    """Whoever signs the form signs exactly the bytes that were sent."""
    pdf = make()
    assert read_attachments(pdf) == {"terms.bin": [TERMS_BYTES]}
    verdict = check_pdf(pdf, sample_pki().trust, NOW)
    assert verdict.ok
    assert verdict.attachments == {"terms.bin": hashlib.sha256(TERMS_BYTES).hexdigest()}


@pytest.mark.parametrize("make", [form, record])
def test_form_prints_the_digest_of_the_terms(make: Callable[[], bytes]) -> None:
    """The person can compare the digest on paper with the one that the bank shows."""
    assert hashlib.sha256(TERMS_BYTES).hexdigest() in words(make())


def test_terms_of_the_largest_size_are_embedded() -> None:
    """256 KiB of any bytes, the limit of the contract, come back unchanged."""
    data = bytes(range(256)) * 1024
    pdf = render_application_form(TERMS, data, signers=[OWNER], registry_name=REGISTRY, created_at=NOW)
    assert read_attachments(pdf) == {"terms.bin": [data]}


def test_application_form_prints_what_the_parties_state() -> None:
    """Location, declarations and note stand on the form that they sign."""
    stated = replace(
        TERMS,
        stated_units=(StatedUnit(unit_code=unit().unit_code, location="测试市声明路9号"),),
        declarations=(
            Declaration(party=OWNER, kind=DeclarationKind.HABITATION_KNOWN, text="居住权人为其母"),
        ),
        note="含固定装修",
    )
    text = words(
        render_application_form(stated, TERMS_BYTES, signers=[OWNER], registry_name=REGISTRY, created_at=NOW)
    )
    for word in (
        "测试市声明路9号",
        f"声明（{OWNER.name}）",
        "知悉不动产上设有居住权：居住权人为其母",
        "含固定装修",
    ):
        assert plain(word) in text
    assert "声明和附记" not in words(form())


def test_application_form_says_what_is_applied_for() -> None:
    """Parties, unit, amounts, term, scope, restriction and papers stand on the form."""
    text = words(form())
    for word in (
        "不动产登记申请书",
        REGISTRY,
        "甲测试",
        "丙测试",
        SELLER_ID,
        SPOUSE_ID,
        "澄江测试银行",
        unit().unit_code,
        unit().location,
        "89.50平方米",
        "抵押权首次登记",
        "123.45万元(人民币壹佰贰拾叁万肆仟伍佰元整)",
        "2026年11月2日起至2056年11月1日止",
        "主债权及利息",
        "苏(2020)测试市不动产权第0000007号",
        "HT-2026-1",
        "如有不实,申请人愿承担法律责任",
    ):
        assert word in text
    assert "禁止或限制转让抵押不动产的约定是" in text
    assert text.count("签名(章)") == 2


def test_application_form_without_register_data_names_units_by_code() -> None:
    """Who may not be told what the register says still gets a form."""
    text = words(form(units=None))
    assert unit().unit_code in text
    assert unit().location not in text


def test_application_form_carries_every_step_of_a_combined_case() -> None:
    """One form carries a release and a new mortgage, in their order (IR 16(1))."""
    text = words(form(Terms(registry="r1", operations=(RELEASE, first()))))
    assert text.index("一、抵押权注销登记") < text.index("二、抵押权首次登记")
    assert "苏(2020)测试市不动产证明第0000003号" in text
    assert "2026年11月1日" in text


def test_application_form_of_many_signers_gives_each_a_place() -> None:
    """Every signer has a place, over several pages if need be; beyond the limit it is refused."""
    people = [replace(OWNER, name=f"测试{n:02d}号") for n in range(30)]
    text = words(form(signers=people))
    assert all(f"申请人:测试{n:02d}号" in text for n in range(30))
    with pytest.raises(ValueError, match=str(SIGNERS_MAX)):
        form(signers=[OWNER] * (SIGNERS_MAX + 1))


def test_application_form_pairs_each_unit_with_its_title() -> None:
    """Where each unit has its own title, each is printed beside its unit only."""
    units = (unit(1).unit_code, unit(2).unit_code)
    op = first(units=units, titles=(CertificateRef(number="证甲"), CertificateRef(number="证乙")))
    assert describe(op).titles_of(units[1]) == ("证乙",)
    assert words(form(Terms(registry="r1", operations=(op,)), units=None)).count("证乙") == 1


def test_form_data_that_look_like_typst_are_printed_as_they_are() -> None:
    """No name, address or scope can become code of the typesetter."""
    nasty = '#panic("x") $a$ *b* `c` <d> @e \u202e'
    owner = replace(OWNER, name=nasty, address=nasty)
    op = first(mortgagors=(owner,), secured_scope=nasty, contract_number=nasty)
    text = words(form(Terms(registry="r1", operations=(op,)), signers=[owner], registry_name=nasty))
    assert text.count(plain(nasty)) >= 5


def test_operation_without_a_description_is_refused() -> None:
    """A form never leaves out a step that its signers would be bound to."""
    terms = Terms(registry="r1", operations=(first(), OtherOperation(name="mortgage_change")))
    with pytest.raises(NotOnFormError, match="mortgage_change"):
        form(terms)


def test_two_persons_sign_one_form_one_after_another() -> None:
    """Each signature is added to the file; both hold, and the terms stay what they were."""
    pki = sample_pki()
    pdf = append_signature(form(), pki.seller.signer(), reason="申请", at=NOW)
    pdf = append_signature(pdf, pki.spouse.signer(), reason="申请", at=NOW)
    verdict = check_pdf(pdf, pki.trust, NOW)
    assert verdict.ok
    assert [one.identity.number for one in verdict.signatures] == [SELLER_ID, SPOUSE_ID]
    assert read_attachments(pdf) == {"terms.bin": [TERMS_BYTES]}


def test_two_renderings_say_the_same() -> None:
    """The words are a function of the terms; only bytes may differ."""
    assert words(form()) == words(form())


def test_inquiry_record_prints_answers_and_leaves_blanks() -> None:
    """A given answer is printed; a question without one has a blank."""
    text = words(record(TRUE_INTENT="是，自愿申请"))
    assert "答:是,自愿申请" in text
    assert text.count("答:") == len(questions_for(TERMS, OWNER))
    assert "被询问人甲测试" in text


def test_inquiry_record_refuses_an_answer_to_no_question() -> None:
    """An answer that belongs to no question of this person is not dropped in silence."""
    with pytest.raises(ValueError, match="CLAIM_ENDED"):
        record(CLAIM_ENDED="是")


def test_inquiry_record_asks_by_role() -> None:
    """The owner who owes is asked about both; the spouse about the mortgage only; the bank about neither."""
    codes = {party.name: {q.code for q in questions_for(TERMS, party)} for party in (OWNER, SPOUSE, BANK)}
    assert {"TRUE_INTENT", "NO_DISPUTE", "DEBT_TRUE"} <= codes["甲测试"]
    assert "NO_DISPUTE" in codes["丙测试"]
    assert "DEBT_TRUE" not in codes["丙测试"]
    assert "NO_DISPUTE" not in codes["澄江测试银行"]


def test_inquiry_record_asks_a_third_party_about_anothers_debt() -> None:
    """Whoever mortgages for somebody else is asked whether that is understood."""
    op = first(debtors=(BUYER,), mortgagor_relation=MortgagorRelation.THIRD_PARTY)
    codes = {q.code for q in questions_for(Terms(registry="r1", operations=(op,)), OWNER)}
    assert "KNOWS_THIRD_PARTY_DEBT" in codes


@pytest.mark.parametrize(
    ("restriction", "words_of"),
    [(TransferRestriction.RESTRICTED, "记载于登记簿"), (TransferRestriction.NONE, "没有禁止或者限制")],
)
def test_inquiry_record_asks_about_the_restriction_agreed(
    restriction: TransferRestriction, words_of: str
) -> None:
    """The question follows what the terms say (CC 406)."""
    terms = Terms(registry="r1", operations=(first(transfer_restriction=restriction),))
    assert words_of in words(record(terms=terms))


def test_usual_answers_answer_every_question() -> None:
    """A sample record has no blank."""
    questions = questions_for(TERMS, OWNER)
    assert set(usual_answers(questions)) == {question.code for question in questions}
    assert all(usual_answers(questions).values())


def test_release_record_asks_the_bank_whether_the_claim_ended() -> None:
    """The mortgagee is asked about what it gives up."""
    codes = {q.code for q in questions_for(Terms(registry="r1", operations=(RELEASE,)), BANK)}
    assert {"CLAIM_ENDED", "KNOWS_RELEASE"} <= codes


def test_contract_pdf_is_a_paper_that_can_be_signed() -> None:
    """A sample contract is a PDF in order, with its words, and takes the bank's signature."""
    pdf = contract_pdf(
        "借款合同",
        ["第一条 借款金额", "贷款人提供借款人民币壹万元整。#panic()"],
        number="HT-1",
        parties={"甲方（贷款人）": BANK.name},
        signers=[BANK.name, OWNER.name],
        created_at=NOW,
    )
    text = words(pdf)
    assert "甲方(贷款人):澄江测试银行" in text
    assert "#panic()" in text
    signed = append_signature(pdf, sample_pki().bank.signer(), reason="签订", at=NOW)
    assert check_pdf(signed, sample_pki().trust, NOW).ok


def test_forms_of_a_combined_case_are_signed_by_seller_and_buyer() -> None:
    """Who gives a right and who buys sign; both banks apply by their envelopes."""
    terms = Terms(registry="r1", operations=deals.steps(), mode="ET_COMBINED")
    assert signers_of(terms) == (deals.SELLER, deals.BUYER)
    notices = Terms(registry="r1", operations=(deals.sale_notice(), deals.mortgage_notice()))
    assert signers_of(notices) == (deals.SELLER, deals.BUYER)


def test_application_form_carries_transfer_release_and_new_mortgage() -> None:
    """One form for the whole deal, its steps in their order, with price, proof and claim (IR 16(1))."""
    terms = Terms(registry="r1", operations=deals.steps(), mode="ET_COMBINED")
    text = words(form(terms, signers=list(signers_of(terms)), units=None))
    steps = ["一、转移登记", "二、抵押权注销登记", "三、抵押权首次登记"]
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)
    for word in ("200万元(人民币贰佰万元整)", "120万元", "承诺结清后注销", "受让人(买方)", "转让人(卖方)"):
        assert word in text


def test_application_form_carries_both_pre_notices() -> None:
    """Sale and mortgage pre-notice on one form, each with what it secures."""
    terms = Terms(registry="r1", operations=(deals.sale_notice(), deals.mortgage_notice()))
    text = words(form(terms, signers=list(signers_of(terms)), units=None))
    for word in (
        "预告登记(买卖)",
        "预告登记(抵押权)",
        "其他不动产买卖预告登记",
        "其他不动产抵押权预告登记",
        "WQ-2026-1",
        "DY-2026-1",
    ):
        assert word in text


def test_inquiry_record_of_a_sale_asks_by_side() -> None:
    """The seller is asked about the unit and the old mortgagee, the buyer about shares, burdens and the debt."""
    terms = Terms(registry="r1", operations=deals.steps(), mode="ET_COMBINED")
    seller, buyer = ({q.code for q in questions_for(terms, p)} for p in (deals.SELLER, deals.BUYER))
    assert {"SALE_OWNERSHIP", "MORTGAGEE_TOLD", "KNOWS_TAX", "PRICE_AGREES"} <= seller
    assert "DEBT_TRUE" not in seller
    assert {"SHARES_AGREED", "KNOWS_BURDENS", "DEBT_TRUE", "KNOWS_TAX"} <= buyer
    assert "MORTGAGEE_TOLD" not in buyer


def test_inquiry_record_of_a_pre_notice_asks_about_its_effect() -> None:
    """Both sides are told of the ninety days and of what a pre-notice does (CC 221)."""
    terms = Terms(registry="r1", operations=(deals.sale_notice(), deals.mortgage_notice()))
    for person in (deals.SELLER, deals.BUYER):
        codes = {q.code for q in questions_for(terms, person)}
        assert {"KNOWS_PRE_NOTICE", "KNOWS_NINETY_DAYS", "PRICE_AGREES"} <= codes
        assert "KNOWS_TAX" not in codes
    assert "KNOWS_PRE_NOTICE" not in {q.code for q in questions_for(terms, deals.B)}


def test_company_that_agrees_to_a_release_signs_the_form() -> None:
    """RD 70: the other side of a release by agreement, or with a judgment, applies in person, a company too."""
    developer = Party(name="示例置业", id_kind=IdKind.USCC, id_number="91320281MA1DEV001D")
    step = replace(RELEASE, ground=ReleaseGround.AGREEMENT, applicants=(BANK, developer))
    terms = Terms(registry="r1", operations=(step,))
    assert signers_of(terms) == (developer,)
    told = describe(step)
    assert (told.obligor_role, told.obligors) == ("抵押人", (developer,))


def test_form_names_the_agreed_restriction_and_an_existing_claim() -> None:
    """CC 406, 420: who signs sees the words, not only that there are some."""
    step = first(
        restriction_text="未经书面同意不得转让",
        kind=MortgageKind.MAXIMUM_AMOUNT,
        claim_amount_fen=None,
        max_claim_amount_fen=500_000_000,
        existing_claim_fen=1_000_000,
    )
    facts = {fact.label: fact.value for fact in describe(step).facts}
    assert facts["禁止或限制转让的约定内容"] == "未经书面同意不得转让"
    assert facts["转入担保范围的已有债权"].startswith("1万元")


def test_inquiry_record_prints_no_internal_code() -> None:
    """The citizen reads questions and answers, not the names by which programs know them."""
    text = words(record())
    assert not [q.code for q in questions_for(TERMS, OWNER) if q.code in text]


def test_heading_of_a_step_never_stands_alone_at_the_foot_of_a_page() -> None:
    """Whatever comes before it, the heading of each step is on the page of its first row."""
    terms = Terms(registry="r1", operations=deals.steps(), mode="ET_COMBINED")
    first_rows = {
        "一、转移登记": "成交价格",
        "二、抵押权注销登记": "不动产登记证明号",
        "三、抵押权首次登记": "抵押方式",
    }
    starts = set()
    for lines in range(16):  # each longer by one line than the one before
        buyer = replace(deals.BUYER, address="地址" * 24 * lines)
        longer = replace(terms.operations[0], buyers=(Owner(person=buyer),))
        pdf = form(replace(terms, operations=(longer, *terms.operations[1:])), units=None)
        pages = [plain(page.extract_text()) for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]
        for heading, row in first_rows.items():
            (page,) = (n for n, text in enumerate(pages) if f"{heading}{row}" in text)
            starts.add((heading, page))
            assert sum(text.count(heading) for text in pages[:page]) == 0
    assert {("三、抵押权首次登记", 0), ("三、抵押权首次登记", 1), ("二、抵押权注销登记", 1)} & starts


def test_form_explains_the_code_of_a_rare_character() -> None:
    """Where a name is printed with a code, form and record say what it stands for."""
    rare = replace(OWNER, name="王\U00020bb7")
    terms = Terms(registry="r1", operations=(first(mortgagors=(rare,)),))
    assert plain(GLOSS) in words(form(terms, signers=[rare]))
    assert plain(GLOSS) in words(record(rare, terms))
    assert plain(GLOSS) not in words(form())
    assert plain(GLOSS) not in words(record())


def test_form_keeps_the_terms_whatever_bytes_they_are() -> None:
    """What is put right in the catalogue of the file leaves attachments alone, whatever they say."""
    data = b"/MarkInfo<</Marked true/Suspects false>>endstream/MarkInfo<</Marked true/Suspects false>>"
    pdf = render_application_form(TERMS, data, signers=[OWNER], registry_name=REGISTRY, created_at=NOW)
    assert read_attachments(pdf) == {"terms.bin": [data]}
    catalogue = pypdf.PdfReader(io.BytesIO(pdf)).root_object
    assert catalogue["/MarkInfo"] == {"/Marked": True}
