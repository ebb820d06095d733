"""The structure of a Hamiltonian: groups of units, terms, slots. No arrays, no text, no kernels.

    Hamiltonian = Group+ , Term* , Slot*
    Group       = name, Prior, shape, visible, integrated
    Slot        = name, shape, trainable, quenched          one per array

Every continuous group has one `Square` term that carries its prior (``Hamiltonian.prior_term``), so
that the reduced potential is linear in coefficients:

    u_k(x) = sum_t c_kt E_t(x) + constant_k      (- sum Gamma over integrated groups)

A group marked `integrated` is summed out analytically: it has no state, and its units enter u through
``-Gamma(theta, lam)`` of their local field (the Marginal of the rewrite passes).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from physebm.errors import ModelFileError
from physebm.model.terms import AllPairs, Field, LowRank, Many, Pair, Square, Term, array_of, groups_of
from physebm.model.units import Prior, UnitKind


@dataclass(frozen=True, slots=True)
class Group:
    """A named set of units of one prior; sites are numbered in C order of `shape`."""

    name: str
    prior: Prior
    shape: tuple[int, ...]
    visible: bool = False
    integrated: bool = False

    @property
    def size(self) -> int:
        """Number of units."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Slot:
    """An array of the model: its shape without the instance axis, and what may change it."""

    name: str
    shape: tuple[int, ...]
    trainable: bool = False
    quenched: bool = False


@dataclass(frozen=True)
class Hamiltonian:
    """Validated, hashable structure; the order of groups, terms and slots is the file's."""

    name: str
    groups: tuple[Group, ...]
    terms: tuple[Term, ...]
    slots: tuple[Slot, ...] = ()

    def __post_init__(self):
        names = [group.name for group in self.groups]
        for name in names:
            if names.count(name) > 1:
                raise ModelFileError(f"{self.name}.units.{name}", hint="two groups share a name")
        slots = {slot.name for slot in self.slots}
        for index, term in enumerate(self.terms):
            for name in groups_of(term):
                if name not in names:
                    raise ModelFileError(self._at(index), got=name, expected=names)
            array = array_of(term)
            if array is not None and array not in slots:
                raise ModelFileError(self._at(index), got=array, expected=sorted(slots))
            self._check_kinds(index, term)
        self._check_integrated()

    def _at(self, index: int) -> str:
        return f"{self.name}.terms[{index}]"

    def _check_kinds(self, index: int, term: Term) -> None:
        kinds = [self.group(name).prior.kind for name in groups_of(term)]
        if isinstance(term, Many) and UnitKind.POTTS in kinds:
            raise ModelFileError(
                self._at(index),
                hint="many-body terms join ising or bernoulli units, not potts units",
            )
        if isinstance(term, Many) and not self.group(term.group).prior.discrete:
            raise ModelFileError(
                self._at(index),
                hint="a many-body term of continuous units has no normalisable measure; "
                "use ising or bernoulli units",
            )
        if isinstance(term, Square) and any(self.group(g).prior.discrete for g in groups_of(term)):
            raise ModelFileError(self._at(index), hint="a square term needs continuous units")
        if isinstance(term, Pair):
            potts = [kind is UnitKind.POTTS for kind in kinds]
            if len(set(potts)) > 1 and not term.states:
                raise ModelFileError(
                    self._at(index),
                    hint="a coupling between a potts group and a scalar group needs an array with "
                    "the state axis last, e.g. shape = [Nv, 1, q]",
                )
            if term.states and not any(potts):
                raise ModelFileError(
                    self._at(index), hint="state axes belong to couplings of potts units"
                )
            if term.a != term.b and not isinstance(term.graph, AllPairs):
                raise ModelFileError(
                    self._at(index),
                    hint="a coupling between two groups joins all pairs; graphs and lattices "
                    "stand within one group",
                )

    def _check_integrated(self) -> None:
        hidden = {group.name for group in self.groups if group.integrated}
        for index, term in enumerate(self.terms):
            names = [name for name in groups_of(term) if name in hidden]
            within = isinstance(term, LowRank | Many) or (isinstance(term, Pair) and term.a == term.b)
            if (names and within) or len(names) > 1:
                raise ModelFileError(
                    self._at(index),
                    got=names,
                    hint="units that are integrated out must not couple to each other: "
                    "their integral does not factorise",
                )

    def group(self, name: str) -> Group:
        """The group called `name`."""
        return self._groups[name]

    def slot(self, name: str) -> Slot:
        """The slot called `name`."""
        return self._slots[name]

    # names are looked up some hundred times in an update of a training
    @cached_property
    def _groups(self) -> dict[str, Group]:
        return {group.name: group for group in self.groups}

    @cached_property
    def _slots(self) -> dict[str, Slot]:
        return {slot.name: slot for slot in self.slots}

    @cached_property
    def field_slots(self) -> dict[str, tuple[int, str]]:
        """Per group the term index and slot of its own trainable field (the first, if it has several).

        An array that is the field of several groups is no group's own: it cannot follow all of them.
        """
        fields = [
            (t, term)
            for t, term in enumerate(self.terms)
            if isinstance(term, Field) and term.h and self.slot(term.h).trainable
        ]
        found: dict[str, tuple[int, str]] = {}
        for t, term in fields:
            if all(other.group == term.group for _, other in fields if other.h == term.h):
                found.setdefault(term.group, (t, term.h))
        return found

    @property
    def sampled(self) -> tuple[Group, ...]:
        """Groups that have a state, i.e. that are not integrated out."""
        return tuple(group for group in self.groups if not group.integrated)

    @property
    def counted(self) -> tuple[Group, ...]:
        """Groups whose units 'per unit' counts: the visible ones, or all if none is marked."""
        visible = tuple(group for group in self.sampled if group.visible)
        return visible or self.sampled

    @property
    def counted_units(self) -> int:
        """N of 'per unit'."""
        return sum(group.size for group in self.counted)

    def prior_term(self, name: str) -> int:
        """Index of the Square term that carries the prior of a continuous group (its first)."""
        return next(
            t for t, term in enumerate(self.terms) if isinstance(term, Square) and term.group == name
        )
