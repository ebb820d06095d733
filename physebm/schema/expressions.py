"""Safe arithmetic in the files a user writes: what ``P = "round(alpha * N)"`` means.

Grammar::

    expression := number | name | expression op expression | - expression | + expression
                | ( expression ) | function ( expression, ... )
    op         := + - * / **
    function   := round ceil floor sqrt log exp        one argument
                | min max                              two or more
    name       := a parameter | pi | T | beta          T and beta = 1/T are reserved

Python's own parser reads the text (``ast``, mode ``eval``) and a white list keeps the nodes above;
nothing is ever executed. Every number is a float from the start, so ``10**10**10`` overflows at
once instead of filling the memory; a result must be finite and below 1e300 in size. ``log`` is
natural and ``round`` goes to the even neighbour at a half, as in Python.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn, TypeAlias

from physebm.errors import InputError, ModelFileError, nearest
from physebm.schema.jets import Jet, JetError

MAX_LENGTH = 400
MAX_DEPTH = 40
MAX_SIZE = 1e300
TEMPERATURE_NAMES = ("T", "beta")
RESERVED_NAMES = (*TEMPERATURE_NAMES, "pi")
FUNCTIONS = ("round", "ceil", "floor", "sqrt", "log", "exp", "min", "max")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

_LEGAL = "numbers, names, + - * / ** ( ), " + ", ".join(FUNCTIONS) + ", pi, T, beta"
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; an int keeps its type until it is evaluated."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter, pi, T or beta."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operator (``+ - * / **`` or ``neg``) or a function, with its arguments."""

    function: str
    arguments: tuple[Node, ...]


Node: TypeAlias = Number | Name | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """A number written as arithmetic; frozen, hashable and equal where the trees are equal.

    `where` (file and key path) and `error` (the class that is raised) only serve messages.
    """

    text: str = field(compare=False)
    tree: Node
    where: str = field(default="", compare=False, repr=False)
    error: type[InputError] = field(default=ModelFileError, compare=False, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it needs besides pi, T and beta, in order of appearance."""
        return tuple(name for name in _names(self.tree) if name not in RESERVED_NAMES)

    @property
    def depends_on_temperature(self) -> bool:
        """Whether T or beta occurs in it."""
        return any(name in TEMPERATURE_NAMES for name in _names(self.tree))

    @property
    def name(self) -> str | None:
        """The name when the whole expression is one name (perhaps that of an array)."""
        return self.tree.name if isinstance(self.tree, Name) else None

    @property
    def constant(self) -> int | float | None:
        """The number when the expression is a plain literal."""
        match self.tree:
            case Number(value):
                return value
            case Call("neg", (Number(value),)):
                return -value
        return None

    def value(self, env: Mapping[str, float]) -> float:
        """Its value, with parameters (and T or beta where they occur) taken from `env`."""
        return _evaluate(self.tree, _lookup(self, env), self)

    def jet(self, env: Mapping[str, float], beta: float) -> tuple[float, float, float]:
        """Value, first and second derivative with respect to beta, where T = 1 / beta.

        Truncated Taylor arithmetic, exact to rounding. ``round``, ``ceil``, ``floor``, ``min`` and
        ``max`` of something that depends on the temperature have no derivative and are refused.
        """
        one = Jet.variable(beta)
        table = {"beta": one, "T": Jet.constant(1.0) / one}
        lookup = _lookup(self, {**env, "beta": beta, "T": 1.0 / beta})

        def find(name: str) -> Jet:
            return table[name] if name in table else Jet.constant(lookup(name))

        result = _jet(self.tree, find, self)
        return result.value, result.first, result.second

    def integer(self, env: Mapping[str, float]) -> int:
        """Its value as a size: a non-negative integer (to 1e-9), or an error."""
        value = self.value(env)
        nearest_integer = round(value)
        if nearest_integer < 0 or abs(value - nearest_integer) > 1e-9 * max(1.0, abs(value)):
            _fail(self, got=self._shown(value), expected="a whole number, zero or more")
        return nearest_integer

    def _shown(self, value: float) -> str:
        return self.text if self.constant is not None else f"{self.text} = {value:.12g}"


def parse(source: object, where: str = "", error: type[InputError] = ModelFileError) -> Expression:
    """The expression that a TOML value stands for: a string is arithmetic, a number itself.

    Booleans, non-finite numbers and anything outside the grammar raise `error` at `where`.
    """

    def refuse(expected: str = _LEGAL, hint: str | None = None) -> NoReturn:
        raise error(where, got=source, expected=expected, hint=hint)

    if isinstance(source, bool) or not isinstance(source, int | float | str):
        refuse("a number, or a string that is an expression")
    if not isinstance(source, str):
        _sized(source, refuse)
        return Expression(repr(source), _literal(source), where, error)
    if len(source) > MAX_LENGTH:
        refuse(f"an expression of at most {MAX_LENGTH} characters")
    if not source.isascii() or not source.strip():
        refuse()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            root = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        refuse(hint="this is not an arithmetic expression")
    return Expression(source, _node(root, 0, refuse), where, error)


def located(expression: Expression, where: str, error: type[InputError]) -> Expression:
    """The same expression, with the address that its error messages give."""
    return replace(expression, where=where, error=error)


def resolve(
    table: Mapping[str, Expression],
    env: Mapping[str, float] | None = None,
    *,
    temperature: bool = False,
) -> dict[str, float]:
    """The values of a table of parameters that refer to one another (and to `env`).

    A cycle is an error that names it; T and beta are refused unless `temperature`, because sizes
    and couplings of a scan must not change along the ladder. Whole literals and results of round,
    ceil and floor come back as int.
    """
    env = dict(env or {})
    done: dict[str, float] = {}
    legal = [*table, *(name for name in env if name not in table)]

    def visit(name: str, trail: tuple[str, ...]) -> float:
        if name in done:
            return done[name]
        expression = table[name]
        if name in trail:
            cycle = " -> ".join((*trail[trail.index(name) :], name))
            _fail(expression, got=expression.text, hint=f"these refer to one another: {cycle}")
        if expression.depends_on_temperature and not temperature:
            _fail(
                expression,
                got=expression.text,
                hint="T and beta are legal in prior parameters, arrays and scales only",
            )
        for other in expression.names:
            if other not in table and other not in env:
                _unknown(expression, other, legal)
        # An own name refers to the table first; `env` only fills what the table does not define.
        known = {
            other: visit(other, (*trail, name)) if other in table else env[other]
            for other in expression.names
        }
        for reserved in TEMPERATURE_NAMES:
            if reserved in env:
                known[reserved] = env[reserved]
        value = expression.value(known)
        done[name] = _typed(expression, value)
        return done[name]

    for name in table:
        visit(name, ())
    return {name: done[name] for name in table}


def check_names(expression: Expression, legal: Iterable[str]) -> None:
    """Raise where the expression uses a name that is neither in `legal` nor reserved."""
    names = list(legal)
    for name in expression.names:
        if name not in names:
            _unknown(expression, name, names)


def check_new_name(name: str, where: str, error: type[InputError] = ModelFileError) -> None:
    """Raise where a parameter, unit or array cannot have this name."""
    if not NAME.match(name):
        raise error(where, got=name, expected="a name: letters, digits and _, no digit first")
    if name in RESERVED_NAMES or name in FUNCTIONS or name == "edges":
        raise error(where, got=name, hint=f"{name} is a reserved word of expressions")


def _fail(
    expression: Expression,
    *,
    got: object = None,
    expected: str | Iterable[str] | None = None,
    hint: str | None = None,
) -> NoReturn:
    where = expression.where or f'expression "{expression.text}"'
    raise expression.error(where, got=got, expected=expected, hint=hint)


def _unknown(expression: Expression, name: str, legal: Iterable[str]) -> NoReturn:
    where = expression.where or f'expression "{expression.text}"'
    names = [other for other in legal if other not in TEMPERATURE_NAMES]
    if expression.text != name:
        hint = f'in the expression "{expression.text}"'
        raise expression.error(where, got=name, expected=names, hint=hint)
    expected = f"a number, or an expression of {', '.join(names)}" if names else "a number"
    near = nearest(name, names)
    meant = f"   (did you mean {near}?)" if near else ""
    raise expression.error(where, got=name, expected=expected + meant)


def _literal(value: int | float) -> Node:
    return Number(value) if value >= 0 else Call("neg", (Number(-value),))


def _typed(expression: Expression, value: float) -> float:
    whole = isinstance(expression.constant, int)
    match expression.tree:
        case Call("round" | "ceil" | "floor", _):
            whole = True
    return int(value) if whole and abs(value) < 2.0**53 else value


def _sized(value: int | float, refuse: Callable[..., NoReturn]) -> None:
    # Comparing an int with a float is exact in Python and does not overflow.
    if not abs(value) < MAX_SIZE:  # also true for nan
        refuse(f"a finite number below {MAX_SIZE:g} in size")


def _node(tree: ast.expr, depth: int, refuse: Callable[..., NoReturn]) -> Node:
    if depth > MAX_DEPTH:
        refuse(f"an expression at most {MAX_DEPTH} levels deep")

    def below(*trees: ast.expr) -> tuple[Node, ...]:
        return tuple(_node(each, depth + 1, refuse) for each in trees)

    match tree:
        case ast.Constant(value=value) if type(value) in (int, float):
            _sized(value, refuse)
            return Number(value)
        case ast.Name(id=name):
            return Name(name)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return Call(_OPERATORS[type(op)], below(left, right))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("neg", below(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return below(operand)[0]
        case ast.Call(func=ast.Name(id=function), args=args, keywords=[]):
            if function not in FUNCTIONS:
                refuse(hint=f"there is no function {function}")
            many = function in ("min", "max")
            if any(isinstance(each, ast.Starred) for each in args):
                refuse()
            if (len(args) < 2) if many else (len(args) != 1):
                refuse(hint=f"{function} takes " + ("two or more" if many else "one"))
            return Call(function, below(*args))
    refuse()


def _names(tree: Node) -> list[str]:
    match tree:
        case Name(name):
            return [name]
        case Call(_, arguments):
            found = dict.fromkeys(name for each in arguments for name in _names(each))
            return list(found)
    return []


def _lookup(expression: Expression, env: Mapping[str, float]) -> Callable[[str], float]:
    def find(name: str) -> float:
        if name == "pi":
            return math.pi
        if name in env:
            return float(env[name])
        if name in TEMPERATURE_NAMES:
            other = "beta" if name == "T" else "T"
            if other in env:
                return 1.0 / env[other]
            _fail(expression, got=name, hint="T and beta have no value here")
        _unknown(expression, name, env)

    return find


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": math.pow,
    "neg": lambda x: -x,
    "round": lambda x: float(round(x)),
    "ceil": lambda x: float(math.ceil(x)),
    "floor": lambda x: float(math.floor(x)),
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "min": min,
    "max": max,
}


def _evaluate(tree: Node, find: Callable[[str], float], expression: Expression) -> float:
    match tree:
        case Number(value):
            return float(value)
        case Name(name):
            return find(name)
        case Call(function, arguments):
            values = [_evaluate(each, find, expression) for each in arguments]
            try:
                result = _FUNCTIONS[function](*values)
            except ZeroDivisionError:
                _fail(expression, got=expression.text, hint="a division by zero")
            except (ValueError, OverflowError):
                _fail(expression, got=expression.text, hint=_outside(function, values))
            if not abs(result) < MAX_SIZE:
                _fail(expression, got=expression.text, hint=_outside(function, values))
            return result
    raise AssertionError(tree)


def _outside(function: str, values: list[float]) -> str:
    sign = "-" if function == "neg" else function
    shown = ", ".join(f"{value:g}" for value in values)
    return f"{sign} of {shown} is not a finite number below {MAX_SIZE:g}"


def _jet(tree: Node, find: Callable[[str], Jet], expression: Expression) -> Jet:
    if not any(name in TEMPERATURE_NAMES for name in _names(tree)):
        return Jet.constant(_evaluate(tree, lambda name: find(name).value, expression))
    if isinstance(tree, Name):
        return find(tree.name)
    jets = [_jet(each, find, expression) for each in tree.arguments]
    try:
        result = Jet.apply(tree.function, jets)
    except JetError as problem:
        _fail(expression, got=expression.text, hint=str(problem))
    except (ZeroDivisionError, ValueError, OverflowError):
        hint = _outside(tree.function, [jet.value for jet in jets])
        _fail(expression, got=expression.text, hint=hint)
    if not all(abs(x) < MAX_SIZE for x in (result.value, result.first, result.second)):
        hint = "its derivatives with respect to beta are not finite here"
        _fail(expression, got=expression.text, hint=hint)
    return result
