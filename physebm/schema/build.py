"""Declared model -> structure: groups, terms and slots at given parameter values.

Terms stand in the order of the file; one `Square` term per continuous group follows, which carries
its prior. A term whose strength is the plain number 0 is left out: it does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from physebm.errors import InputError, ModelFileError
from physebm.model import graphs
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.terms import AllPairs, EdgeList, Field, Lattice, LowRank, Many, Pair, Square, Term
from physebm.model.units import Prior, UnitKind
from physebm.schema.array_files import read_array
from physebm.schema.declarations import ArrayDeclaration, ModelDeclaration, TermDeclaration
from physebm.schema.expressions import Expression, parse
from physebm.schema.trained_slots import Snapshot, check_used, refuse_shape, snapshot_of

# A slot axis of this length is the number of bonds of a random graph, which differs by realisation.
EDGES = -1
# Units are numbered by one 32-bit word of the random numbers' counter.
MAX_UNITS = 2**31 - 1


@dataclass(frozen=True)
class Structure:
    """What a declaration means at given numbers.

    Attributes
    ----------
    env
        The value of every parameter.
    hamiltonian
        Groups, terms and slots.
    strengths
        Per term the expression that multiplies it (for a prior's term its precision).
    kept
        Per term its index in the file, or a text for a prior's term.
    sources
        Per slot where its numbers come from.
    mirrored
        Slots that are symmetric couplings of one group.
    snapshots
        Slots whose numbers a training left in a result.
    """

    env: dict[str, float]
    hamiltonian: Hamiltonian
    strengths: tuple[Expression, ...]
    kept: tuple[int | str, ...]
    sources: dict[str, ArrayDeclaration]
    mirrored: frozenset[str]
    snapshots: dict[str, Snapshot] = field(default_factory=dict)


def build(declaration: ModelDeclaration, overrides: dict[str, Expression]) -> Structure:
    """The structure of a declaration with some of its parameters set."""
    return _Builder(declaration, overrides).build()


class _Builder:
    """Collects groups, terms and slots of one declaration."""

    def __init__(self, declaration: ModelDeclaration, overrides: dict[str, Expression]):
        self.declaration = declaration
        self.overrides = overrides
        self.env = declaration.values(overrides)
        self.groups: dict[str, Group] = {}
        self.slots: dict[str, Slot] = {}
        self.sources: dict[str, ArrayDeclaration] = {}
        self.mirrored: set[str] = set()
        self.snapshots: dict[str, Snapshot] = {}
        self.terms: list[Term] = []
        self.strengths: list[Expression] = []
        self.kept: list[int | str] = []

    def build(self) -> Structure:
        for name, unit in self.declaration.units.items():
            where = f"{self.declaration.where}.units.{name}"
            shape = tuple(self._length(each, name) for each in unit.shape)
            if prod(shape) > MAX_UNITS:
                expected = f"at most {MAX_UNITS} units"
                raise ModelFileError(f"{where}.shape", got=list(shape), expected=expected)
            q = unit.q.integer(self.env) if unit.q is not None else 0
            if unit.prior == "potts" and q < 2:
                raise ModelFileError(f"{where}.q", got=q, expected="at least 2 states")
            self.groups[name] = Group(name, Prior(UnitKind(unit.prior), q), shape, unit.visible)
        for index, term in enumerate(self.declaration.terms):
            self._term(index, term)
        for name, unit in self.declaration.units.items():
            if unit.variance is not None:
                self._prior(name, unit)
        check_used(self.declaration, self.slots, self.snapshots)
        return Structure(
            self.env,
            Hamiltonian(
                self.declaration.name,
                tuple(self.groups.values()),
                tuple(self.terms),
                tuple(self.slots.values()),
            ),
            tuple(self.strengths),
            tuple(self.kept),
            self.sources,
            frozenset(self.mirrored),
            self.snapshots,
        )

    def _length(self, held: Expression, group: str) -> int:
        """One length of a group's shape; what a user set wrong is blamed where it was set."""
        try:
            length = held.integer(self.env)
        except InputError:
            length = 0
        if length >= 1:
            return length
        given = self.overrides.get(held.name)
        value, expected = held.value(self.env), "a whole number, one or more"
        got = held.text if held.constant is not None else f"{held.text} = {value:.12g}"
        if given is not None:
            hint = f"it is a length of the units {group} of {self.declaration.name}"
            raise given.error(given.where, got=got, expected=expected, hint=hint)
        used = [name for name in held.names if name in self.env]
        hint = (
            ", ".join(f"{name} = {self.env[name]:.12g}" for name in used) if held.name is None else ""
        )
        raise held.error(held.where, got=got, expected=expected, hint=f"at {hint}" if hint else None)

    def _term(self, index: int, term: TermDeclaration) -> None:
        where = f"{self.declaration.where}.terms[{index}]"
        key = "h" if term.field is not None else "patterns" if term.patterns is not None else "J"
        held = term.coupling
        array = self._array_name(held, f"terms[{index}].{key}")
        if array is None:
            strength = held
            if not strength.depends_on_temperature and strength.value(self.env) == 0.0:
                return
        else:
            strength = term.scale or parse(1)
        names = (term.field,) if term.field is not None else term.couple
        groups = [self.groups[name] for name in names]
        built, base = self._shape_of(term, groups, where)
        if array is not None:
            states = self._check_shape(array, base, groups, built, where)
            if isinstance(built, Pair):
                built = Pair(built.a, built.b, built.graph, array, states)
                if built.a == built.b and isinstance(built.graph, AllPairs):
                    self.mirrored.add(array)
            elif isinstance(built, Field):
                built = Field(built.group, array)
            elif isinstance(built, LowRank):
                built = LowRank(built.group, array)
            else:
                built = Many(built.group, built.arity, built.graph, array)
        elif isinstance(built, Field) and groups[0].prior.kind is UnitKind.POTTS:
            raise ModelFileError(
                f"{where}.h",
                got=strength.text,
                expected=f"an array of shape {[*groups[0].shape, groups[0].prior.q]}",
                hint="a number favours no state of a potts unit",
            )
        self.terms.append(built)
        self.strengths.append(strength)
        self.kept.append(index)

    def _shape_of(self, term: TermDeclaration, groups: list[Group], where: str):
        """The term without its array, and the axes that an array must have before state axes."""
        first = groups[0]
        if term.field is not None:
            return Field(first.name), first.shape
        if term.patterns is not None:
            return LowRank(first.name), (None, *first.shape)
        if len(groups) == 2 and groups[0].name != groups[1].name:
            if term.on is not None:
                raise ModelFileError(
                    f"{where}.on", hint="a coupling between two groups joins all pairs of units"
                )
            second = groups[1]
            q = [group.prior.q for group in groups]
            if all(q) and q[0] != q[1] and not isinstance(term.J, ArrayDeclaration):
                array = self.declaration.arrays.get(term.J.name) if term.J.name else None
                if array is None or len(array.shape or ()) < len(first.shape + second.shape) + 2:
                    raise ModelFileError(
                        f"{where}.J",
                        got=f"a delta between potts units of {q[0]} and of {q[1]} states",
                        expected=f"an array of shape {[*first.shape, *second.shape, *q]}",
                        hint="equal states are not defined where the numbers of states differ",
                    )
            return Pair(first.name, second.name, AllPairs()), (*first.shape, *second.shape)
        if any(group.name != first.name for group in groups):
            raise ModelFileError(
                f"{where}.couple",
                got=list(term.couple),
                expected="one group, as in [s, s, s]",
                hint="a term of three or more units stands within one group",
            )
        graph, axes = self._graph(term, first, len(groups), where)
        if len(groups) == 2:
            return Pair(first.name, first.name, graph), axes
        return Many(first.name, len(groups), graph), axes

    def _graph(self, term: TermDeclaration, group: Group, arity: int, where: str):
        on = term.on
        if on is None:
            return AllPairs(), (group.size,) * arity
        if arity > 2 and on.edges is None:
            raise ModelFileError(
                f"{where}.on", expected="edges = { file or values }", hint="a many-body graph is listed"
            )
        if on.lattice is not None:
            dimension = graphs.lattice_dimension(on.lattice, group.shape)
            if len(group.shape) != dimension:
                raise ModelFileError(
                    f"{where}.on.lattice",
                    got=f"{on.lattice} on units of shape {list(group.shape)}",
                    expected=f"a shape of {dimension} axes",
                )
            if on.lattice == "honeycomb" and group.shape[2] != 2:
                raise ModelFileError(
                    f"{where}.on.lattice",
                    got=f"shape {list(group.shape)}",
                    expected="shape [L1, L2, 2]: two sites in a cell of the honeycomb",
                )
            boundary = on.boundary if isinstance(on.boundary, tuple) else (on.boundary,) * dimension
            if len(boundary) != dimension:
                raise ModelFileError(
                    f"{where}.on.boundary", got=list(boundary), expected=f"{dimension} entries"
                )
            lattice = Lattice(on.lattice, tuple(one == "periodic" for one in boundary))
            try:
                graphs.lattice_bonds(on.lattice, group.shape, lattice.periodic)
            except ModelFileError as problem:
                got = f"{problem.got} ({problem.where})"
                raise ModelFileError(
                    f"{where}.on", got=got, expected=problem.expected, hint=problem.hint
                ) from None
            return lattice, graphs.bond_shape(on.lattice, group.shape)
        return EdgeList(on.graph or "edges"), (EDGES,)

    def _array_name(self, held: object, inline: str) -> str | None:
        """The slot of a value that is an array, registering it; None for a number."""
        if isinstance(held, ArrayDeclaration):
            self._register(inline, held)
            return inline
        if held.name is not None and held.name in self.declaration.arrays:
            self._register(held.name, self.declaration.arrays[held.name])
            return held.name
        if self.declaration.trained is not None and held.name and held.name not in self.env:
            self._register(held.name, None)
            return held.name
        return None

    def _register(self, name: str, held: ArrayDeclaration | None) -> None:
        """A slot and where its numbers come from; None: the result of a training has to hold it."""
        snapshot = snapshot_of(self.declaration, name, held)
        if snapshot is not None:
            shape = snapshot.read().shape
            if held is not None and held.shape is not None:
                sizes = [EDGES if n.name == "edges" else n.integer(self.env) for n in held.shape]
                if not _fits(shape, sizes):
                    needs = f"{_shown(sizes)}, as {self.declaration.name} has it"
                    refuse_shape(snapshot, shape, needs, held.shape, self.env)
            self.slots[name] = Slot(name, shape, False, False)
            self.sources[name] = snapshot.declaration
            self.snapshots[name] = snapshot
            return
        where = f"{self.declaration.where}.arrays.{name}"
        for each in held.expressions:
            if each.depends_on_temperature:
                raise ModelFileError(
                    each.where,
                    got=each.text,
                    hint="the numbers of an array do not depend on T; put the factor into `scale`",
                )
        if held.shape is not None:
            shape = tuple(
                EDGES if each.name == "edges" else each.integer(self.env) for each in held.shape
            )
        else:
            shape = read_array(held, self.declaration.directory, where).shape
        quenched = held.law not in (None, "constant") and not held.trainable
        self.slots[name] = Slot(name, shape, held.trainable, quenched)
        self.sources[name] = held

    def _check_shape(self, array, base, groups, term, where) -> bool:
        """Whether the array has state axes; raises when its shape fits no reading of the term."""
        shape = self.slots[array].shape
        distinct = groups if isinstance(term, Pair) else groups[:1]
        states = tuple(group.prior.q for group in distinct if group.prior.kind is UnitKind.POTTS)
        base = tuple(shape[0] if n is None and shape else n for n in base)
        needs_states = isinstance(term, Field | LowRank)
        legal = [(*base, *states)] if needs_states else [base, (*base, *states)]
        if isinstance(getattr(term, "graph", None), EdgeList) and shape:
            legal = [(shape[0], *one[1:]) for one in legal]
        if shape not in legal:
            needs = f"{' or '.join(dict.fromkeys(map(_shown, legal)))}, as {where} needs"
            if array in self.snapshots:
                units = [self.declaration.units[group.name] for group in groups]
                sizes = [each for unit in units for each in unit.shape]
                sizes += [unit.q for unit in units if unit.q is not None]
                refuse_shape(self.snapshots[array], shape, needs, sizes, self.env)
            at = f"{self.declaration.where}.arrays.{array}.shape"
            raise ModelFileError(at, got=list(shape), expected=needs)
        return bool(states) and isinstance(term, Pair) and shape == legal[-1] and len(legal) > 1

    def _prior(self, name: str, unit) -> None:
        """The Square term that carries the prior of a continuous group."""
        where = f"{self.declaration.where}.units.{name}.variance"
        array = self._array_name(unit.variance, f"units.{name}.variance")
        if array is None:
            self.terms.append(Square(name))
            variance = unit.variance
            if not variance.depends_on_temperature and not variance.value(self.env) > 0:
                raise ModelFileError(where, got=variance.value(self.env), expected="a number above 0")
            self.strengths.append(parse(f"1 / ({variance.text})", where))
        else:
            expected = self.groups[name].shape
            if self.slots[array].shape != expected:
                shape, needs = (
                    self.slots[array].shape,
                    f"{list(expected)}, one variance per unit of {name}",
                )
                if array in self.snapshots:
                    refuse_shape(self.snapshots[array], shape, needs, unit.shape, self.env)
                at = f"{self.declaration.where}.arrays.{array}.shape"
                raise ModelFileError(at, got=list(shape), expected=needs)
            self.terms.append(Square(name, array, inverse=True))
            self.strengths.append(parse(1))
        self.kept.append(f"prior of {name}")
        lower = unit.lower
        if isinstance(lower, Expression) and lower.name not in self.declaration.arrays:
            if lower.depends_on_temperature:
                raise ModelFileError(
                    f"{self.declaration.where}.units.{name}.lower",
                    got=lower.text,
                    hint="the lower edge of a unit cannot depend on the temperature",
                )
            scaled = isinstance(unit.variance, Expression) and unit.variance.depends_on_temperature
            if scaled and lower.value(self.env) != 0.0:
                raise ModelFileError(
                    where,
                    got=unit.variance.text,
                    hint="a truncated unit whose variance depends on T needs lower = 0",
                )
        elif lower is not None:
            self._array_name(lower, f"units.{name}.lower")


def _fits(shape: tuple[int, ...], sizes: list[int]) -> bool:
    return len(shape) == len(sizes) and all(size in (EDGES, n) for size, n in zip(sizes, shape))


def _shown(shape) -> str:
    return str([n if n != EDGES else "edges" for n in shape])
