"""From a TOML table to a frozen struct, with errors that a person can act on.

msgspec checks types and keys and ends its message in a path (``- at `$.terms[0].couple```); here
that becomes the file, the dotted path, what stands there, what is legal and the nearest name.
Structs report their own rules by raising `Problem` in ``__post_init__``.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
import typing
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn, TypeVar

import msgspec

from physebm.errors import InputError
from physebm.schema.expressions import Expression, located, parse

S = TypeVar("S")

_PATH = re.compile(r"(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_BARE = re.compile(r"([A-Za-z0-9_.-]+)\s*=\s*([A-Za-z_./~][^\"'#=\[\]{}]*)(?:#.*)?\Z")
_MISSING = re.compile(r"Object missing required field `(.*)`")


class Problem(ValueError):
    """What is wrong with one value; whoever converts adds the file and the path."""

    def __init__(
        self,
        at: str = "",
        *,
        got: object = None,
        expected: str | Iterable[str] | None = None,
        hint: str | None = None,
    ):
        self.at, self.got, self.expected, self.hint = at, got, expected, hint
        super().__init__("problem")


class Quantity(ABC):  # noqa: B024 - msgspec would decode a dataclass by its fields
    """An `Expression`: a number, or a string that is arithmetic, in the file."""


Quantity.register(Expression)


class Shape(ABC):  # noqa: B024 - a union that msgspec accepts
    """A tuple of expressions: ``"N"``, ``32`` or ``["L", "L"]`` in the file."""


Shape.register(tuple)


class Table(ABC):  # noqa: B024 - a union that msgspec accepts
    """Nested lists of numbers as nested tuples, rectangular and finite."""


Table.register(tuple)


def read_toml(path: Path, error: type[InputError]) -> dict[str, Any]:
    """The tables of a TOML file; a missing file or a syntax error raises `error`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(str(path), hint="there is no such file") from None
    except IsADirectoryError:
        raise error(str(path), hint="this is a directory, not a file") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise error(str(path), hint=f"the file cannot be read: {problem}") from None
    return parse_toml(text, str(path), error)


def parse_toml(text: str, file: str, error: type[InputError]) -> dict[str, Any]:
    """The tables of a TOML text; a syntax error raises `error` with its line and column."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        # tomllib ends in (at line 3, column 7), except at the end.
        lines = text.split("\n")
        end = f"at line {len(lines)}, column {len(lines[-1]) + 1}, the end"
        hint = f"this is not TOML: {problem}".replace("at end of document", end)
        at = re.search(r"at line (\d+)", str(problem))
        line = lines[int(at[1]) - 1].strip() if at else None
        quoted = _BARE.match(line or "")
        if quoted:
            hint += f'; texts stand in quotes: {quoted[1]} = "{quoted[2].strip()}"'
        raise error(file, got=line, hint=hint) from None
    except RecursionError:
        hint = "the tables are nested too deeply"
    raise error(file, hint=hint)


def convert(
    raw: object,
    kind: type[S],
    where: str,
    error: type[InputError],
    hook: Callable[[type, object], object] | None = None,
) -> S:
    """The struct `kind` that the table `raw` describes, or `error` at the path in question.

    Expressions inside learn their own address. `hook(type, value)` decodes the types that
    `decode` does not know.
    """
    try:
        result = msgspec.convert(raw, kind, dec_hook=hook or decode)
    except msgspec.ValidationError as problem:
        _explain(problem, raw, kind, where, error)
    return locate(result, where, error)


def nested(raw: object, kind: type[S], hook: Callable[[type, object], object] | None = None) -> S:
    """`convert` for use inside a hook: its error becomes a `Problem`."""
    try:
        return convert(raw, kind, "", InputError, hook)
    except InputError as problem:
        raise Problem(
            problem.where, got=problem.got, expected=problem.expected, hint=problem.hint
        ) from None


def decode(kind: type, value: object) -> object:
    """Decode a `Quantity`, a `Shape` or a `Table`; raises `Problem`."""
    if kind is Quantity:
        return expression(value)
    if kind is Shape:
        entries = value if isinstance(value, list | tuple) else [value]
        if not entries:
            raise Problem(got=value, expected="a size or a list of sizes")
        return tuple(expression(each, f"[{i}]") for i, each in enumerate(entries))
    if kind is Table:
        return table(value)
    raise NotImplementedError(kind)


def expression(value: object, at: str = "") -> Expression:
    """`expressions.parse` for use inside a hook: its error becomes a `Problem`."""
    try:
        return parse(value)
    except InputError as problem:
        raise Problem(at, got=problem.got, expected=problem.expected, hint=problem.hint) from None


def table(value: object, at: str = "", nan: bool = False) -> tuple:
    """Nested lists of finite numbers (or `nan`) as tuples; all rows of one level are alike."""
    if not isinstance(value, list | tuple) or not value:
        raise Problem(at, got=value, expected="a list of numbers, or lists of lists of them")
    if any(isinstance(each, list | tuple) for each in value):
        rows = tuple(table(each, f"{at}[{i}]", nan) for i, each in enumerate(value))
        for i, row in enumerate(rows):
            if _extent(row) != _extent(rows[0]):
                expected = f"rows of one length, {_extent(rows[0])}"
                raise Problem(f"{at}[{i}]", got=list(row), expected=expected)
        return rows
    for i, each in enumerate(value):
        number = isinstance(each, int | float) and not isinstance(each, bool)
        if not number or not (math.isfinite(each) or (nan and math.isnan(each))):
            raise Problem(f"{at}[{i}]", got=each, expected="a finite number")
    return tuple(value)


def locate(value: Any, where: str, error: type[InputError]) -> Any:
    """The same value with every expression inside knowing where it stands; structs in place."""
    if isinstance(value, Expression):
        return located(value, where, error)
    if isinstance(value, dict):
        return {key: locate(each, f"{where}.{key}", error) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(locate(each, f"{where}[{i}]", error) for i, each in enumerate(value))
    if isinstance(value, msgspec.Struct):
        for name, key in zip(value.__struct_fields__, value.__struct_encode_fields__):
            held = getattr(value, name)
            if isinstance(held, Expression | tuple | dict | msgspec.Struct):
                msgspec.structs.force_setattr(value, name, locate(held, f"{where}.{key}", error))
    return value


def legal_keys(kind: type) -> list[str]:
    """The keys that a struct has in the file."""
    return list(kind.__struct_encode_fields__)


def require_table(raw: object, where: str, error: type[InputError]) -> Mapping[str, Any]:
    """The value if it is a table, or an error."""
    if not isinstance(raw, dict):
        raise error(where, got=raw, expected="a table")
    return raw


def _explain(
    problem: msgspec.ValidationError,
    raw: object,
    kind: type,
    where: str,
    error: type[InputError],
) -> NoReturn:
    text = str(problem)
    match = _PATH.search(text)
    path = match["path"] or ""
    message = text[: match.start()]
    value, held = _follow(raw, kind, path)
    cause = problem.__cause__
    if isinstance(cause, Problem):
        at = f"{where}{path}{cause.at}"
        raise error(at, got=cause.got, expected=cause.expected, hint=cause.hint) from None
    if unknown := _UNKNOWN.match(message):
        legal = legal_keys(held) if isinstance(held, type) else None
        raise error(f"{where}{path}", got=unknown[1], expected=legal) from None
    if missing := _MISSING.match(message):
        raise error(f"{where}{path}", expected=f"a key `{missing[1]}`, which is missing") from None
    if typing.get_origin(held) is typing.Literal:
        raise error(f"{where}{path}", got=value, expected=typing.get_args(held)) from None
    expected = message.removeprefix("Expected ").split(", got")[0].replace("`", "")
    words = [_PLAIN.get(word, word) for word in expected.split(" | ") if word != "null"]
    expected = " or ".join(words)
    hint = None
    if words == [_PLAIN["array"]] and typing.get_args(held)[:1] == (type(value),):
        hint = f"a list of one is [{json.dumps(value)}]"
    raise error(f"{where}{path}", got=value, expected=expected, hint=hint) from None


_PLAIN = {
    "object": "a table",
    "array": "a list",
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
}


def _follow(raw: object, kind: Any, path: str) -> tuple[object, Any]:
    """The value at a path of msgspec and the type declared there (None when not known)."""
    for key, index in _STEP.findall(path):
        kind = _plain(kind)
        try:
            raw = raw[key] if key else raw[int(index)]
        except (KeyError, IndexError, TypeError):
            return None, None
        if key and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
            kind = fields.get(key)
        elif index:
            arguments = typing.get_args(kind)
            kind = arguments[0] if arguments else None
    return raw, _plain(kind)


def _plain(kind: Any) -> Any:
    """A type without ``| None``; of several alternatives the struct, a tuple or a Literal."""
    if typing.get_origin(kind) in (UnionType, typing.Union):
        options = [each for each in typing.get_args(kind) if each is not type(None)]
        return options[0] if len(options) == 1 else None
    return kind


def _extent(row: object) -> tuple[int, ...]:
    return (len(row), *_extent(row[0])) if isinstance(row, tuple) else ()
