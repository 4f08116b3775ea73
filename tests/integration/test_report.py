"""`diya report` on a real ledger: what the gateway booked over the wire, read from its effects."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from gateway.cli.app import build_app
from tests.support.played import opened


def report(folder: Path, *words: str) -> Result:
    """The command with a folder's settings."""
    runner = CliRunner(env={"COLUMNS": "200"})
    return runner.invoke(build_app(), ["report", *words, "--config", str(folder / "diya.toml")])


def test_report_counts_what_the_ledger_booked(played: Path, tmp_path: Path) -> None:
    """Each booked case of the view of applications, and no more; the register import is nobody's case."""
    chart = tmp_path / "report.svg"
    result = report(played, "--registry", "jiangyin", "--format", "json", "--chart", str(chart))
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    with opened(played) as connection:
        rows = connection.execute(
            "SELECT state, body FROM application WHERE registry = 'jiangyin'"
        ).fetchall()
    booked = Counter(
        operation for state, body in rows if state == "BOOKED" for operation in json.loads(body)["operations"]
    )
    assert booked["MORTGAGE_FIRST"] > 1
    assert {m["mode"]: m["deals"] for m in figures["modes"]} == booked
    assert figures["filed"] == len(rows)
    assert figures["online"] == booked.total()
    assert figures["by_rule_share"] == 1
    assert figures["amount_fen"] > 0
    assert "MORTGAGE_RELEASE" in chart.read_text(encoding="utf-8")


def test_report_prints_tables_and_csv_of_every_registry(played: Path) -> None:
    """One CSV with one heading, however many registries; tables name the city that counts so."""
    table = report(played)
    assert table.exit_code == 0, table.output
    assert "网办率" in table.output
    assert "Taizhou" in table.output
    lines = report(played, "--format", "csv").stdout.splitlines()
    assert [line for line in lines if line.startswith("registry,")] == ["registry,key,mode,value"]
    assert {line.partition(",")[0] for line in lines[1:]} == {"jiangyin", "taizhou"}


def test_report_refuses_what_it_cannot_do(played: Path) -> None:
    """A chart of two registries, a format that there is none of, a day that is none."""
    assert report(played, "--chart", "x.svg").exit_code == 2
    assert report(played, "--format", "xml").exit_code == 2
    assert report(played, "--from", "yesterday").exit_code == 2
    empty = report(played, "--registry", "jiangyin", "--format", "json", "--until", "2000-01-01")
    assert json.loads(empty.stdout)["deals"] == 0
