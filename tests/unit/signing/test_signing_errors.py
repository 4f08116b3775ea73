"""Every error of the package can be answered to a bank: a reason of its own and a Chinese
sentence.
"""

from __future__ import annotations

from signing import errors
from signing.errors import SigningError


def _all(root: type[SigningError]) -> list[type[SigningError]]:
    return [one for child in root.__subclasses__() for one in (child, *_all(child))]


def test_each_error_has_its_own_reason() -> None:
    """A reason names one class, in at most 63 characters of UPPER_SNAKE."""
    classes = [one for one in _all(SigningError) if one.__module__ == errors.__name__]
    reasons = [one.reason for one in classes]
    assert len(set(reasons)) == len(reasons)
    for reason in reasons:
        assert reason.isupper()
        assert len(reason) <= 63


def test_each_error_speaks_chinese_and_keeps_its_message() -> None:
    """The message is for developers, `zh` for clerks; either can be replaced by a closer one."""
    for one in _all(SigningError):
        made = one("what happened")
        assert made.message == "what happened"
        assert any("\u4e00" <= character <= "\u9fff" for character in made.zh)
    assert SigningError("x", "更准确的说明").zh == "更准确的说明"
