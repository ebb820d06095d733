"""The structs of models.toml: what a file may say about a Hamiltonian, and nothing more.

Every top-level table is one model::

    title, source, notes, conventions    strings
    parameters    NAME = number | "expression"
    units         NAME = { prior, shape, visible, q, variance, lower }
    arrays        NAME = { law | file | values | from, shape, trainable, ... }
    terms         { couple | field, J | h | patterns, on, scale }, ...
    small         NAME = number | "expression": the instance on which `check` enumerates

Quantities arrive as `Expression` (a plain number is a constant one), shapes as tuples of them.
Where an array may stand (J, h, patterns, variance, lower) there is an `Expression`, whose `name`
is that of a declared array or of a parameter, or an `ArrayDeclaration` written in place.
Defaults: gaussian and truncated_gaussian have variance 1, truncated_gaussian has lower 0; J has
no default.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Literal

import msgspec

from physebm.errors import InputError, ModelFileError
from physebm.model.graphs import LATTICES
from physebm.schema.convert import Problem, Quantity, Shape, Table, decode, expression, nested
from physebm.schema.expressions import Expression, parse, resolve

LAWS = {
    "constant": ("value",),
    "normal": ("mean", "std"),
    "uniform": ("low", "high"),
    "rademacher": ("p",),
}
"""The options of every law of an array; `value`, `std`, `low` and `high` have no default."""

PRIORS = {
    "ising": (),
    "bernoulli": (),
    "potts": ("q",),
    "gaussian": ("variance",),
    "truncated_gaussian": ("variance", "lower"),
}
"""The options of every prior; `q` has no default, variance is 1 and lower 0."""

GRAPHS = {"random-regular": "degree", "erdos-renyi": "mean_degree"}

_STRICT = {"frozen": True, "forbid_unknown_fields": True, "kw_only": True}


class ArrayValue(ABC):  # noqa: B024 - a union that msgspec accepts
    """An `Expression` (number, parameters or one array name) or an `ArrayDeclaration`."""


class Place(ABC):  # noqa: B024 - a type that msgspec leaves to `decode_model`
    """Axis name -> number or text: where in a result."""


Place.register(dict)


class ArrayDeclaration(msgspec.Struct, rename={"from_result": "from"}, **_STRICT):
    """Where the numbers of an array come from: exactly one of law, file, values and from.

    `shape` may be left out where the numbers themselves have one (file, values, from); an entry
    whose `name` is ``edges`` stands for the bonds of the term's graph. `trainable` arrays need a
    law, file or values to start from. `variable` names an entry of an npz or nc file, or the array
    of a result where it has another name; `update` is the training age to take from a result (an
    integer or "last") and `at` the values of the axes that it was trained along.
    """

    law: Literal["constant", "normal", "uniform", "rademacher"] | None = None
    file: str | None = None
    variable: str | None = None
    values: Table | None = None
    from_result: str | None = None
    update: int | str | None = None
    at: Place | None = None
    shape: Shape | None = None
    trainable: bool = False
    value: Quantity | None = None
    mean: Quantity | None = None
    std: Quantity | None = None
    low: Quantity | None = None
    high: Quantity | None = None
    p: Quantity | None = None

    def __post_init__(self):
        given = {"law": self.law, "file": self.file, "values": self.values}
        given["from"] = self.from_result
        stated = [name for name, held in given.items() if held is not None]
        if len(stated) != 1:
            raise Problem(got=", ".join(stated) or None, expected=_one_of(given))
        for option in ("value", "mean", "std", "low", "high", "p"):
            if getattr(self, option) is not None and option not in LAWS.get(self.law, ()):
                legal = [*LAWS[self.law], "shape", "trainable"] if self.law else None
                hint = f"`{option}` is no option of " + (f"law {self.law}" if self.law else stated[0])
                raise Problem(got=option, expected=legal, hint=hint)
        if self.law is not None:
            self._check_law()
        if self.variable is not None and self.file is None and self.from_result is None:
            raise Problem(".variable", got=self.variable, hint="`variable` belongs to a file")
        if self.update is None and self.from_result is not None:
            msgspec.structs.force_setattr(self, "update", "last")
        if self.update is not None:
            if self.from_result is None:
                raise Problem(".update", got=self.update, hint="`update` belongs to `from`")
            _check_update(self.update)
            if self.trainable:
                raise Problem(".trainable", got=True, hint="trained arrays are used as they are")
        if self.at is not None and self.from_result is None:
            raise Problem(".at", got=self.at, hint="`at` belongs to `from`")

    def _check_law(self):
        if self.shape is None:
            raise Problem(expected="a key `shape`: a law does not say how many numbers to draw")
        defaults = {"mean": 0, "p": 0.5}
        for option in LAWS[self.law]:
            if getattr(self, option) is None:
                if option not in defaults:
                    raise Problem(expected=f"a key `{option}`, which law {self.law} needs")
                msgspec.structs.force_setattr(self, option, parse(defaults[option]))
        if self.std is not None and (self.std.constant or 0) < 0:
            raise Problem(".std", got=self.std.constant, expected="zero or more")
        if self.p is not None and not 0 <= (0 if (p := self.p.constant) is None else p) <= 1:
            raise Problem(".p", got=self.p.constant, expected="a probability, 0 to 1")

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """The options of its law that are given."""
        options = (self.value, self.mean, self.std, self.low, self.high, self.p)
        return tuple(each for each in options if each is not None)


ArrayValue.register(Expression)
ArrayValue.register(ArrayDeclaration)


class UnitDeclaration(msgspec.Struct, **_STRICT):
    """A group of units of one prior; `shape` is its number of units per axis.

    `q` is the number of states of a Potts unit; `variance` and `lower` of the continuous priors
    are numbers, expressions (T is legal) or arrays over the group.
    """

    prior: Literal["ising", "bernoulli", "potts", "gaussian", "truncated_gaussian"]
    shape: Shape
    visible: bool = False
    q: Quantity | None = None
    variance: ArrayValue | None = None
    lower: ArrayValue | None = None

    def __post_init__(self):
        for option in ("q", "variance", "lower"):
            if getattr(self, option) is not None and option not in PRIORS[self.prior]:
                owners = [prior for prior, options in PRIORS.items() if option in options]
                hint = f"`{option}` belongs to {' and '.join(owners)}, and this prior is {self.prior}"
                legal = ["prior", "shape", "visible", *PRIORS[self.prior]]
                raise Problem(got=option, expected=legal, hint=hint)
        if self.prior == "potts" and self.q is None:
            raise Problem(expected="a key `q`, the number of states of a Potts unit")
        for option, default in (("variance", 1), ("lower", 0)):
            if option in PRIORS[self.prior] and getattr(self, option) is None:
                msgspec.structs.force_setattr(self, option, parse(default))
        variance = self.variance.constant if isinstance(self.variance, Expression) else None
        if variance is not None and not variance > 0:
            raise Problem(".variance", got=variance, expected="a number above zero")


class GraphDeclaration(msgspec.Struct, **_STRICT):
    """Which units a coupling joins: exactly one of lattice, graph and edges.

    `boundary` is "periodic" (default) or "open", or a list of them, one per axis of the lattice.
    `edges` is an array of unit indices, [edge, 2] (or [edge, p] for a p-body term).
    """

    lattice: str | None = None
    boundary: str | tuple[str, ...] | None = None
    graph: Literal["random-regular", "erdos-renyi"] | None = None
    degree: Quantity | None = None
    mean_degree: Quantity | None = None
    edges: ArrayDeclaration | None = None

    def __post_init__(self):
        given = {"lattice": self.lattice, "graph": self.graph, "edges": self.edges}
        stated = [name for name, held in given.items() if held is not None]
        if len(stated) != 1:
            raise Problem(got=", ".join(stated) or None, expected=_one_of(given))
        if self.lattice is None and self.boundary is not None:
            raise Problem(".boundary", got=self.boundary, hint="only a lattice has a boundary")
        if self.lattice is not None:
            if self.lattice not in LATTICES:
                raise Problem(".lattice", got=self.lattice, expected=list(LATTICES))
            if self.boundary is None:
                msgspec.structs.force_setattr(self, "boundary", "periodic")
            listed = isinstance(self.boundary, tuple)
            for i, one in enumerate(self.boundary if listed else (self.boundary,)):
                if one not in ("periodic", "open"):
                    at = f".boundary[{i}]" if listed else ".boundary"
                    raise Problem(at, got=one, expected=("periodic", "open"))
        for option in GRAPHS.values():
            held, needed = getattr(self, option), GRAPHS.get(self.graph) == option
            if held is not None and not needed:
                owner = next(graph for graph, name in GRAPHS.items() if name == option)
                raise Problem(f".{option}", got=held.text, hint=f"`{option}` belongs to {owner}")
            if held is None and needed:
                raise Problem(expected=f"a key `{option}`, which {self.graph} needs")
        if self.edges is not None and (self.edges.law or self.edges.trainable):
            raise Problem(".edges", expected="file or values", hint="edges are given, not drawn")


class TermDeclaration(msgspec.Struct, **_STRICT):
    """One sum of the Hamiltonian: exactly one of couple and field.

    ``couple`` lists two or more groups and has J or patterns; ``field`` names one group and has h.
    `on` is the graph of the coupling (None: all pairs); `scale` multiplies arrays.
    """

    couple: tuple[str, ...] | None = None
    field: str | None = None
    J: ArrayValue | None = None
    h: ArrayValue | None = None
    patterns: ArrayValue | None = None
    on: GraphDeclaration | None = None
    scale: Quantity | None = None

    def __post_init__(self):
        if (self.couple is None) == (self.field is None):
            both = "couple, field" if self.couple is not None else None
            raise Problem(got=both, expected="exactly one of: couple, field")
        if self.field is not None:
            for option in ("J", "patterns", "on"):
                if getattr(self, option) is not None:
                    hint = f"`{option}` belongs to a coupling; a field has h and scale"
                    raise Problem(got=option, expected=("field", "h", "scale"), hint=hint)
            if self.h is None:
                raise Problem(expected="a key `h`, the field itself")
            return
        if len(self.couple) < 2:
            hint = "a term of one group is a field" if self.couple else None
            raise Problem(".couple", got=list(self.couple), expected="two or more groups", hint=hint)
        if self.h is not None:
            legal = ("couple", "J", "patterns", "on", "scale")
            raise Problem(got="h", expected=legal, hint="`h` belongs to a field")
        if (self.J is None) == (self.patterns is None):
            both = "J, patterns" if self.J is not None else None
            raise Problem(got=both, expected="exactly one of: J, patterns")
        if self.patterns is not None:
            if len(set(self.couple)) != 1 or len(self.couple) != 2:
                hint = "patterns couple a group with itself, as in [s, s]; otherwise write J"
                raise Problem(".couple", got=list(self.couple), hint=hint)
            if self.on is not None:
                raise Problem(".on", hint="patterns couple all pairs; they have no graph")

    @property
    def coupling(self) -> Expression | ArrayDeclaration:
        """The number, expression or array of the term, whatever its key."""
        return next(held for held in (self.J, self.h, self.patterns) if held is not None)


class TrainedArrays(msgspec.Struct, rename={"from_result": "from"}, **_STRICT):
    """The arrays of a model taken from the result of a training study, as many as it holds.

    `update` is the training age, `at` the values of the axes that were trained along.
    """

    from_result: str
    update: int | str = "last"
    at: Place | None = None

    def __post_init__(self):
        _check_update(self.update)


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """`TrainedArrays` with the folder where the file name starts and the address for messages."""

    arrays: TrainedArrays
    directory: str
    where: str
    error: type[InputError] = ModelFileError


class ModelDeclaration(msgspec.Struct, **_STRICT):
    """One model as declared; checked in itself, without any numbers of a study.

    `directory` is where relative file names start, `where` the address for messages.
    """

    name: str
    title: str = ""
    source: str = ""
    notes: str = ""
    conventions: str = ""
    parameters: dict[str, Expression] = {}
    units: dict[str, UnitDeclaration]
    arrays: dict[str, ArrayDeclaration] = {}
    trained: Trained | None = None
    terms: tuple[TermDeclaration, ...]
    small: dict[str, Expression] = {}
    directory: str = "."
    where: str = ""

    @property
    def trainable(self) -> tuple[str, ...]:
        """Names of the arrays that training changes; those written in place are called by their key."""
        held = dict(self.arrays)
        for i, term in enumerate(self.terms):
            key = "h" if term.field is not None else "J" if term.patterns is None else "patterns"
            held[f"terms[{i}].{key}"] = term.coupling
        held |= {f"units.{name}.variance": unit.variance for name, unit in self.units.items()}
        return tuple(name for name, each in held.items() if getattr(each, "trainable", False))

    def values(self, overrides: Mapping[str, Expression] | None = None) -> dict[str, float]:
        """The numbers of all parameters, with some of them set otherwise.

        An override of a name that is no parameter raises at the override's own address.
        """
        overrides = overrides or {}
        for name, held in overrides.items():
            if name not in self.parameters:
                raise held.error(
                    held.where,
                    got=name,
                    expected=list(self.parameters),
                    hint=f"these are the parameters of {self.name}",
                )
        return resolve({**self.parameters, **overrides})


def decode_model(kind: type, value: object) -> object:
    """Decode the types of the structs above; raises `Problem`."""
    if kind is Place:
        return _place(value)
    if kind is not ArrayValue:
        return decode(kind, value)
    if not isinstance(value, dict):
        return expression(value)
    return nested(value, ArrayDeclaration, decode_model)


def _place(value: object) -> dict[str, int | float | str]:
    if not isinstance(value, dict):
        raise Problem(got=value, expected='a table, axis = value, as in { method = "pcd" }')
    for name, held in value.items():
        if isinstance(held, bool) or not isinstance(held, int | float | str):
            raise Problem(f".{name}", got=held, expected="a number or a text")
    return dict(value)


def _check_update(update: int | str) -> None:
    if update != "last" and (isinstance(update, str) or update < 0):
        raise Problem(".update", got=update, expected='a training age, 0 or more, or "last"')


def _one_of(names: Mapping[str, object]) -> str:
    return "exactly one of: " + ", ".join(names)
