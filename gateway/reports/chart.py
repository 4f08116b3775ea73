"""A report as a picture: deals and days by mode, and the shares, as SVG that needs nothing else; PNG by typst."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import typst

from gateway.certificates.glyphs import FONT_PACKAGE
from gateway.reports.figures import Figures
from gateway.reports.writing import days, lines_of, wan

_WIDTH: Final = 960
_LABEL: Final = 420  # where bars begin
_BAR: Final = 380  # length of the longest bar
_ROW: Final = 26
_INK, _GREY, _BLUE, _GREEN, _RED = "#1f2328", "#656d76", "#2f6fab", "#3c8a5b", "#b4533c"
_FONT: Final = "Noto Sans SC, Noto Sans CJK SC, PingFang SC, Microsoft YaHei, sans-serif"
_SHARES: Final = (
    "online_share",
    "by_rule_share",
    "pre_notice_share",
    "loan_share",
    "pre_notice_share_with_loan",
    "cross_bank_share",
)

_Bar = tuple[str, float, str]  # label, value, value as told


def as_svg(figures: Figures) -> str:
    """The chart of one registry."""
    body = [*_heading(figures)]
    y = 92
    modes = figures.modes
    shares = [
        (f"{line.zh} {line.en}", line.number or 0.0, line.told)
        for line in lines_of(figures)
        if line.key in _SHARES
    ]
    blocks: tuple[tuple[str, Sequence[_Bar], str, float | None], ...] = (
        (
            "办件与涉及资金 · deals and amount",
            [(m.mode, float(m.deals), f"{m.deals} · {wan(m.amount_fen)} 万元") for m in modes],
            _BLUE,
            None,
        ),
        (
            "提交至登簿（天，平均）· days from submission to booking, mean",
            [(m.mode, round(m.days.mean or 0.0, 2), days(m.days.mean)) for m in modes],
            _GREEN,
            None,
        ),
        ("占比 · shares", shares, _RED, 1.0),
    )
    for title, bars, colour, full in blocks:
        body += _bars(title, bars, colour, y, full)
        y += _ROW * (len(bars) + 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}" '
        f'font-family="{_FONT}" font-size="13">'
        f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>' + "".join(body) + "</svg>\n"
    )


def as_png(figures: Figures) -> bytes:
    """The same chart as pixels, two to a unit."""
    picture = _compiler().compile(
        format="png", ppi=144.0, sys_inputs={"svg": as_svg(figures), "width": str(_WIDTH)}
    )
    assert isinstance(picture, bytes)
    return picture


def _heading(figures: Figures) -> Iterator[str]:
    until = f"– {figures.stop} (excl.)" if figures.stop else ""
    period = f"{figures.start or ''} {until}".strip() or "全部 · since the beginning"
    yield _text(24, 36, f"{figures.registry} · 不动产登记统计", _INK, 20)
    told = f"{period} · {figures.deals} deals · {wan(figures.amount_fen)} 万元"
    yield _text(24, 62, told, _GREY)


def _bars(title: str, bars: Sequence[_Bar], colour: str, top: int, full: float | None) -> Iterator[str]:
    yield _text(24, top + 8, title, _INK, 15)
    longest = full or max((value for _, value, _ in bars), default=0.0) or 1.0
    for number, (label, value, told) in enumerate(bars, start=1):
        y = top + number * _ROW
        length = max(1.0, _BAR * min(value / longest, 1.0)) if value else 0.0
        yield _text(_LABEL - 10, y + 9, _short(label), _INK, anchor="end")
        yield f'<rect x="{_LABEL}" y="{y - 6}" width="{length:.1f}" height="18" fill="{colour}"/>'
        yield _text(_LABEL + int(length) + 8, y + 9, told, _GREY)


def _short(label: str) -> str:
    return label if len(label) <= 56 else label[:55] + "…"


def _text(x: int, y: int, text: str, colour: str, size: int = 13, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'


@cache
def _compiler() -> typst.Compiler:
    with as_file(files(FONT_PACKAGE)) as folder:
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])
    template = Path(__file__).parent / "chart.typ"
    return typst.Compiler(template, root=template.parent, font_paths=fonts)
