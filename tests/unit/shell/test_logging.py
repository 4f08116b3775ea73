"""Logs hold no personal data: a defect is logged by its type and place, never by its message or its locals."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from gateway.rpc.errors import refusal_of
from gateway.telemetry import configure_logging

ID_NUMBER = "999999199003071234"


@pytest.fixture
def _root_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.mark.usefixtures("_root_restored")
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "plain"])
def test_log_of_an_exception_hides_its_values(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """Neither the exception's message nor a local variable reaches the log line."""
    configure_logging(json=as_json)
    secret = ID_NUMBER
    try:
        raise ValueError(f"bad number {secret}")
    except ValueError:
        logging.getLogger("diya.test").exception("not read")
    line = capsys.readouterr().err
    assert ID_NUMBER not in line
    assert "ValueError" in line
    assert "test_logging.py" in line
    if as_json:
        assert json.loads(line)["event"] == "not read"


@pytest.mark.usefixtures("_root_restored")
@pytest.mark.parametrize("as_json", [True, False], ids=["json", "plain"])
def test_log_line_of_a_defect_carries_its_incident(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    """The id that the caller is told is in the line, or nobody finds the one by the other; other extras are not."""
    configure_logging(json=as_json)
    refusal = refusal_of(RuntimeError(ID_NUMBER))
    logging.getLogger("diya.test").warning("x", extra={"name_of_owner": ID_NUMBER})
    lines = capsys.readouterr().err
    assert refusal.metadata["incident"] in lines
    assert refusal.metadata["incident"] in refusal.en
    assert ID_NUMBER not in lines
    assert "RuntimeError" in lines
