"""What the law's own functions say of themselves: docstrings, findings, settings of the place, read from their source.

A function of the law that makes a finding states the rule in its docstring; the finding's Chinese words, code and
article stand in the call. Both are read here, so a page says what the code says.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, Final

from gateway.kinds import blocking
from gateway.register.model import Value

#: What stands for a value that only a case has.
GAP: Final = "…"

#: The table of blocks speaks for itself, on a table of its own.
_TABLE: Final = blocking.register_findings

_Env = Mapping[str, ast.expr]


class Stated(Value, frozen=True, kw_only=True):
    """One finding that a function can make, as far as its source tells: what depends on the case is a gap."""

    code: str
    rule: str
    article: str
    zh: str
    en: str


class Rule(Value, frozen=True, kw_only=True):
    """One function of the law that finds something: its name, its docstring, its findings."""

    name: str
    doc: str
    stated: tuple[Stated, ...]


def doc_of(thing: Any) -> str:
    """A docstring as one paragraph."""
    return " ".join((inspect.getdoc(thing) or "").split())


def lead_of(module: ModuleType) -> tuple[str, str]:
    """A module's docstring: its first line, and the rest as one paragraph."""
    head, _, rest = (inspect.getdoc(module) or "").partition("\n\n")
    return " ".join(head.split()), " ".join(rest.split())


def rules_in(function: Any) -> tuple[Rule, ...]:
    """Every function of the law that `function` asks, itself included, that makes a finding, in order of call."""
    rules = []
    for asked in _asked(function):
        stated = tuple(dict.fromkeys(_findings(asked)))
        if stated:
            rules.append(Rule(name=asked.function.__name__, doc=doc_of(asked.function), stated=stated))
    return tuple(rules)


def settings_in(*functions: Any) -> tuple[str, ...]:
    """Names of the profile's settings that these functions read, sorted."""
    names: set[str] = set()
    for function in functions:
        for asked in _asked(function, through_table=True):
            names |= _settings(asked.function)
    return tuple(sorted(names))


@cache
def _settings(function: FunctionType) -> frozenset[str]:
    return frozenset(re.findall(r"\bprofile\.([a-z_0-9]+)", inspect.getsource(function)))


class _Asked:
    """A function of the law with what its caller told it in so many words."""

    def __init__(self, function: FunctionType, env: _Env) -> None:
        self.function = function
        self.env = env

    @property
    def key(self) -> tuple[str, ...]:
        """The same function is asked again where it is told to say something else."""
        told = (_text(self.env.get(name)) for name in ("article", "rule", "zh", "en"))
        return (f"{self.function.__module__}.{self.function.__qualname__}", *told)


def _asked(function: Any, *, through_table: bool = False) -> list[_Asked]:
    """The functions of gateway.kinds that a function calls, by themselves or through others, in order of call."""
    found: dict[tuple[str, ...], _Asked] = {}

    def ask(asked: _Asked) -> None:
        if asked.key in found:
            return
        found[asked.key] = asked
        for call in _calls(asked.function):
            called = _resolve(call.func, asked.function)
            if not isinstance(called, FunctionType) or not called.__module__.startswith("gateway.kinds"):
                continue
            if not _is_maker(called) and (through_table or called is not _TABLE):
                ask(_Asked(called, _bound(call, called, asked.env)))

    ask(_Asked(function, {}))
    return list(found.values())


def _findings(asked: _Asked) -> Iterator[Stated]:
    for call in _calls(asked.function):
        called = _resolve(call.func, asked.function)
        if isinstance(called, FunctionType) and _is_maker(called):
            yield from _stated(call, called, asked.env)


def _is_maker(function: FunctionType) -> bool:
    """Whether it makes one finding of what it is told: reasons.finding, clean.refer, a module's own short form."""
    return inspect.get_annotations(function).get("return") == "Finding"


def _stated(call: ast.Call, maker: FunctionType, env: _Env) -> Iterator[Stated]:
    """The findings that a call makes, through as many short forms as there are."""
    arguments = _bound(call, maker, env)
    if maker.__module__ == "gateway.register.reasons":
        told = {name: _text(arguments.get(name)) for name in ("code", "rule", "article", "zh", "en")}
        yield Stated(**told)
        return
    for inner in _calls(maker):
        called = _resolve(inner.func, maker)
        if isinstance(called, FunctionType) and _is_maker(called):
            yield from _stated(inner, called, arguments)


def _bound(call: ast.Call, function: FunctionType, env: _Env) -> dict[str, ast.expr]:
    """Parameter -> expression, with the caller's own parameters put in."""
    names = list(inspect.signature(function).parameters)
    bound = dict(zip(names, call.args, strict=False))
    bound |= {k.arg: k.value for k in call.keywords if k.arg}
    return {name: _Filled(env).visit(deepcopy(value)) for name, value in bound.items()}


class _Filled(ast.NodeTransformer):
    """Puts expressions in the place of names, in a copy."""

    def __init__(self, env: _Env) -> None:
        self._env = env

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._env.get(node.id, node)


def _text(node: ast.expr | None) -> str:
    """The text of an expression; what is known only in a case is a gap."""
    match node:
        case None:
            return ""
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.FormattedValue(value=value):
            return _text(value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left) + _text(right)
        case ast.IfExp(body=one, orelse=other):
            texts = [text for text in (_text(one), _text(other)) if text]
            return " / ".join(dict.fromkeys(texts))
    return GAP


@cache
def _calls(function: FunctionType) -> list[ast.Call]:
    """Calls in the order in which they stand."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def _resolve(node: ast.expr, function: FunctionType) -> Any:
    """What a called name stands for in the function's module; None for anything else."""
    match node:
        case ast.Name(id=name):
            return function.__globals__.get(name)
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return getattr(function.__globals__.get(module), name, None)
    return None
