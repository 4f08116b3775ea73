"""Where things stand on a certificate's pages: a row that goes over pages, labels, the seal, words about codes."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pypdf
import pytest
from msgspec.structs import replace

from gateway.certificates import render
from gateway.certificates.content import CertificateContent, mortgage_proof, title_certificate
from gateway.certificates.glyphs import GLOSS
from gateway.certificates.layout import AUTHORITY_LABEL, lay_out
from gateway.certificates.reading import first_difference, plain, read_body
from gateway.register.model import CoOwnership, Owner, Ownership
from tests.support.certificates import OWNER, content, issue, mortgage, unit, unsealed
from tests.support.pki import NOW

TITLES = ["苏(2020)测试市不动产权第0000007号"]
TABLE_LINE = re.compile(rb"q 1 0 0 -1 53\.\d+ ([\d.]+) cm[^\n]*? 0 0 m 48[78]\.\d+ 0 l")


def of_units(count: int) -> CertificateContent:
    """The proof of a mortgage on `count` units, each listed in 其他."""
    units = [unit(n) for n in range(count)]
    row = mortgage(units=tuple(one.unit_code for one in units))
    return mortgage_proof(row, units, TITLES, **issue())


def pages(pdf: bytes) -> list[pypdf.PageObject]:
    """The pages of a PDF."""
    return list(pypdf.PdfReader(io.BytesIO(pdf)).pages)


def places(page: pypdf.PageObject) -> list[tuple[str, float, float]]:
    """Each run of text, in the order drawn, with where it begins: points from the left, from the bottom."""
    found: list[tuple[str, float, float]] = []

    def note(text: str, matrix: list[float], *_: object) -> None:
        if text.strip():
            found.append((plain(text), matrix[4], matrix[5]))

    page.extract_text(visitor_text=note)
    return found


def lines_across(page: pypdf.PageObject) -> list[float]:
    """Heights of the lines that go across the whole table."""
    contents = page.get_contents()
    assert contents is not None
    return [float(y) for y in TABLE_LINE.findall(contents.get_data())]


@pytest.mark.parametrize(("units", "row"), [(14, "其他"), (40, "不动产单元号")])
def test_page_that_begins_inside_a_row_says_whose_rest_it_is(units: int, row: str) -> None:
    """The second page begins with the label of the row that it continues, in the labels' column."""
    made = of_units(units)
    second = places(pages(unsealed(made))[1])
    label = next(place for place in second if plain("（续）") in place[0] and made.number not in place[0])
    assert label[0] == plain(f"{row}（续）")
    assert second.index(label) == 2  # behind watermark and number
    assert label[1] < 150 < second[3][1]
    assert abs(label[2] - second[3][2]) < 3


def test_page_that_begins_with_a_row_says_only_the_number() -> None:
    """Nothing is said to go on where nothing does."""
    owners = tuple(Owner(person=replace(OWNER, name=f"阿卜杜热合曼·买买提·测试{n}")) for n in range(60))
    row = Ownership(
        right_id="1.1",
        units=(unit().unit_code,),
        case_number="c",
        booked_at=NOW,
        booked_by="登测试",
        owners=owners,
        co_ownership=CoOwnership.JOINT,
        title=mortgage().proof,
    )
    second = pages(unsealed(title_certificate(row, unit(), **issue("TITLE"))))[1]
    assert places(second)[2][0] in ("面积", "使用期限", "权利其他状况", "附记")
    assert second.extract_text().count("（续）") == 1


def test_page_that_ends_inside_a_row_closes_it_with_a_line() -> None:
    """Below the last line of text of a cut row, a line goes across the table."""
    first = pages(unsealed(of_units(14)))[0]
    lowest = min(y for text, _, y in places(first) if not text.startswith("第1页"))
    assert min(lines_across(first)) < lowest


def test_labels_stand_in_the_middle_of_their_rows() -> None:
    """其他 and 附记 stand half way between the lines of their row, open space included."""
    (page,) = pages(unsealed(content()))
    lines = sorted(lines_across(page))
    labels = {text: y for text, _, y in places(page) if text in ("其他", "附记")}
    for y in labels.values():
        below = max(line for line in lines if line < y)
        above = min(line for line in lines if line > y)
        assert abs(y - (below + above) / 2) < 6
        assert above - below > 40


@pytest.mark.parametrize(
    "name",
    [
        "测试市局",
        "江阴市自然资源和规划局",
        "测试土家族苗族自治州测试市自然资源和规划局不动产登记中心（示例）",
    ],
)
def test_seal_covers_neither_name_nor_date(name: str) -> None:
    """Every letter of the seal stands right of the authority's printed name and of the date."""
    (page,) = pages(unsealed(content(issuer_name=name)))
    found = places(page)
    label = next(n for n, (text, _, _) in enumerate(found) if text == plain(AUTHORITY_LABEL))
    start = max(n for n in range(label) if re.fullmatch(r"[0-9]+", found[n][0]))
    ring = found[start + 1 : label]
    assert "".join(text for text, _, _ in ring).startswith(name[0])
    printed = [place for place in found[label:] if not place[0].startswith("第1页")]
    assert max(x + 12.0 * len(text) for text, x, _ in printed) < min(x for _, x, _ in ring)


def test_name_is_not_broken_between_lines_of_a_list() -> None:
    """Where many hold together, a line breaks between two names."""
    names = [f"阿卜杜热合曼·买买提·测试{n}" for n in range(12)]
    people = tuple(replace(OWNER, name=name) for name in names)
    made = mortgage_proof(mortgage(mortgagors=people), [unit()], TITLES, **issue())
    (page,) = pages(unsealed(made))
    lines = page.extract_text().splitlines()
    assert all(any(name in line for line in lines) for name in names)


def test_code_of_a_rare_character_is_explained_in_the_note_and_only_then() -> None:
    """附记 says what 〔U+20BB7〕 stands for; a certificate without one does not say it."""
    rare = content(obligors=(replace(OWNER, name="王\U00020bb7"),))
    layout = lay_out(rare)
    body = read_body(unsealed(rare), layout)
    assert plain(GLOSS) in body
    assert body.index(plain("登簿时间")) < body.index(plain(GLOSS)) < body.index(plain(layout.statement))
    assert first_difference(layout, body) is None
    assert plain(GLOSS) not in read_body(unsealed(), lay_out(content()))


def test_words_about_codes_stand_for_nothing_else() -> None:
    """Only that sentence at that place is let pass."""
    layout = lay_out(content())
    body = plain(layout.body(GLOSS))
    assert first_difference(layout, body) is None
    assert first_difference(layout, body.replace("电子数据", "纸质数据", 1)) is not None
    assert first_difference(layout, body + plain(GLOSS)) is not None


def test_certificate_printed_before_pages_named_their_rows_still_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates live for decades: pages without a label and codes without an explanation read as before."""
    template = render.TEMPLATE.read_text()
    for now, before in (("inset: 0mm, continued)", "inset: 0mm, [])"), ('input.gloss != ""', "false")):
        assert template.count(now) == 1
        template = template.replace(now, before)
    old = tmp_path / "certificate.typ"
    old.write_text(template)
    monkeypatch.setattr(render, "TEMPLATE", old)
    made = replace(of_units(14), obligors=(replace(OWNER, name="王\U00020bb7"),))
    pdf = unsealed(made)
    assert len(pages(pdf)) > 1
    assert "其他（续）" not in pages(pdf)[1].extract_text()
    assert first_difference(lay_out(made), read_body(pdf, lay_out(made))) is None
