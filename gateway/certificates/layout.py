"""What a certificate prints, in reading order: the one place where content becomes words on paper.

`render.py` hands these values to the template, `verify.py` reads the text of a PDF back and compares it with
them; neither knows the other's business. Pure.

The words are frozen with the content's schema: certificates live for decades, and a verifier of tomorrow must
expect the words of today. Other words need another schema, and this file stays beside the new one.
"""

from __future__ import annotations

from typing import Final

from gateway.certificates import wording
from gateway.certificates.content import CertificateContent, CertificateKind
from gateway.register.model import Value

STATE: Final = "中华人民共和国"
TITLES: Final = {CertificateKind.TITLE: "不动产权证书", CertificateKind.PROOF: "不动产登记证明"}
STATEMENTS: Final = {
    CertificateKind.TITLE: "根据《中华人民共和国民法典》等法律法规，为保护不动产权利人合法权益，"
    "对不动产权利人申请登记的本证所列不动产权利，经审查核实，准予登记，颁发此证。",
    CertificateKind.PROOF: "根据《中华人民共和国民法典》等法律法规，为保护申请人合法权益，"
    "对申请人申请登记的本证明所列不动产权利或登记事项，经审查核实，准予登记，颁发此证明。",
}
IDENTIFIER_LABEL: Final = "证照标识"
AUTHORITY_LABEL: Final = "登记机构（电子印章）"
SCAN_LABEL: Final = "扫码查验当前状态"
CODE_LABEL: Final = "校验码"
WATERMARK: Final = "测试"
SEAL_WORDS: Final = "不动产登记专用章"
SEAL_WORDS_TEST: Final = "电子印章（测试）"
CONTINUED: Final = "（续）"


class Row(Value, frozen=True, kw_only=True):
    """One row of the table: its label and its lines."""

    label: str
    lines: tuple[str, ...]


class Layout(Value, frozen=True, kw_only=True):
    """Every word of a certificate's pages, but for page numbers."""

    state: str
    title: str
    number: str
    identifier: str
    rows: tuple[Row, ...]
    statement: str
    authority: str
    issued_on: str
    code: str
    seal_words: str
    watermark: str

    def body(self, gloss: str = "") -> str:
        """All text of all pages in reading order, without what each page repeats.

        `gloss` is what the page adds to 附记, its last row, where a character is printed by its code.
        """
        table = "".join(row.label + "".join(row.lines) for row in self.rows)
        seal = self.authority + self.seal_words
        return (
            f"{self.state}{self.title}{self.number}{IDENTIFIER_LABEL}{self.identifier}{table}{gloss}"
            f"{self.statement}{SCAN_LABEL}{CODE_LABEL}{self.code}"
            f"{seal}{AUTHORITY_LABEL}{self.authority}{self.issued_on}"
        )

    def page_heads(self, page: int) -> tuple[str, ...]:
        """What page `page`, from 1, may say before its body: watermark, and the number where it continues.

        A page that begins inside a row also says of which row. Files of before it did are as good: the last.
        """
        if page == 1:
            return (self.watermark,)
        head = self.watermark + self.number + CONTINUED
        return (*(head + row.label + CONTINUED for row in self.rows), head)

    def page_foot(self, page: int, pages: int) -> str:
        """What page `page` of `pages` says after its body."""
        return f"第{page}页共{pages}页"


def lay_out(content: CertificateContent) -> Layout:
    """The words of a certificate."""
    rows = _title_rows(content) if content.kind is CertificateKind.TITLE else _proof_rows(content)
    return Layout(
        state=STATE,
        title=TITLES[content.kind],
        number=content.number,
        identifier=content.identifier,
        rows=tuple(Row(label=label, lines=lines or (wording.UNRECORDED,)) for label, lines in rows),
        statement=STATEMENTS[content.kind],
        authority=content.issuer_name,
        issued_on=wording.date(content.issued_on),
        code=" ".join(content.code[n : n + 4] for n in range(0, len(content.code), 4)),
        seal_words=SEAL_WORDS_TEST if content.test else SEAL_WORDS,
        watermark=WATERMARK if content.test else "",
    )


def unit_code_groups(code: str) -> str:
    """A unit code in the groups in which it is printed (GB/T 37346): 6, 6, 7, 9 characters."""
    return " ".join(part for part in (code[:6], code[6:12], code[12:19], code[19:]) if part)


def _proof_rows(content: CertificateContent) -> list[tuple[str, tuple[str, ...]]]:
    return [
        ("证明权利或事项", _one(content.matter)),
        ("权利人（申请人）", _one(wording.names(content.holders))),
        ("义务人", _one(wording.names(content.obligors))),
        ("坐落", _one(content.location)),
        ("不动产单元号", tuple(unit_code_groups(code) for code in content.unit_codes)),
        ("其他", _other(content)),
        ("附记", _note(content)),
    ]


def _title_rows(content: CertificateContent) -> list[tuple[str, tuple[str, ...]]]:
    return [
        ("权利人", _one(wording.names(content.holders))),
        ("共有情况", _one(content.co_ownership)),
        ("坐落", _one(content.location)),
        ("不动产单元号", tuple(unit_code_groups(code) for code in content.unit_codes)),
        ("权利类型", _one(content.right_kind)),
        ("权利性质", _one(content.right_nature)),
        ("用途", _one(content.use)),
        ("面积", _one(content.area)),
        ("使用期限", _one(content.term)),
        ("权利其他状况", _other(content)),
        ("附记", _note(content)),
    ]


def _one(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _other(content: CertificateContent) -> tuple[str, ...]:
    return tuple(f"{line.label}：{line.value}" for line in content.other)


def _note(content: CertificateContent) -> tuple[str, ...]:
    booked = f"业务号：{content.case_number}；登簿时间：{wording.instant(content.booked_at)}"
    return (*content.note.splitlines(), booked)
