"""Exact averages and exact log Z: closed forms, transfer matrices, enumeration of the smaller side.

Layers that factorise are summed out where that shortens the enumeration: for averages either the hidden
or the visible groups, for log Z any set of discrete groups, whichever leaves fewer states.

log Z is that of all rows of coefficients, by the cheapest of

    closed form        units without couplings, Gaussian units alone (a determinant)
    transfer matrix    chains and narrow lattices of one discrete group; `theory.transfer_matrix`
    enumeration        of at most 2^28 states of the smaller side; `state_sums`

Truncated Gaussian units have no such form: a state costs one integral per unit, so that fewer states
can be afforded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from physebm.errors import LoweringError
from physebm.free_energy.estimate import Estimate
from physebm.free_energy.state_sums import enumerated_log_z
from physebm.lowering.positive import joining_terms
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.roles import factorises, hidden_groups, visible_groups
from physebm.model.terms import Many, groups_of
from physebm.model.units import UnitKind
from physebm.theory.enumeration import Exact, enumerate_states
from physebm.theory.transfer_matrix import on_lattice, transfer, transfer_log_z

# log2 of the states that can be enumerated, and of the integrals over truncated Gaussian units: a
# minute each.
STATE_BITS = 28
INTEGRAL_BITS = 30
# Many-body terms with layers summed out are multiplied out in numpy.
MANY_BITS = 20
# Groups whose subsets are tried.
MOST_GROUPS = 10
OTHERS = (
    'method = "integration", "mbar", "ais" or "population-annealing", or the approximations '
    '"mean-field", "tap", "bethe"'
)


@dataclass(frozen=True)
class ExactAverages:
    """The averages of an enumeration, for `model.statistics`."""

    exact: Exact

    def mean(self, name: str) -> np.ndarray:
        """``<phi_i(a)>``, ``[unit, feature]``."""
        group = self.exact.hamiltonian.group(name)
        return self.exact.mean(name)[0].reshape(group.size, -1)

    def pair(self, a: str, b: str) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>``, ``[unit, feature, unit, feature]``."""
        one, two = self.exact.hamiltonian.group(a), self.exact.hamiltonian.group(b)
        full = self.exact.pair(a, b)[0]
        full = full.reshape(one.size, two.size, one.prior.features, two.prior.features)
        full = full.transpose(0, 2, 1, 3)
        # Sums over states round differently on the two sides; couplings must stay symmetric.
        return 0.5 * (full + full.transpose(2, 3, 0, 1)) if a == b else full

    def along(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<phi_i(a) phi_j(b)>`` on edges, ``[edge, feature, feature]``."""
        return self.pair(name, name)[edges[:, 0], :, edges[:, 1], :]

    def square(self, name: str) -> np.ndarray:
        """``<x_i^2>``, ``[unit]``."""
        return np.einsum("ifif->i", self.pair(name, name))

    def product(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<prod_{i in e} x_i>``, ``[edge]``."""
        return self.exact.average(lambda state: np.prod(state[name][:, edges], axis=-1))[0]


def summed_out(hamiltonian: Hamiltonian) -> Hamiltonian:
    """The same distribution with discrete layers marked `integrated` that need no enumeration.

    Of the hidden and of the visible groups, those are summed out that factorise and leave fewer
    states; none where neither factorises. Discrete layers that couple to continuous units are
    enumerated in any case: it is the continuous units that are integrated there.
    """
    hidden, visible = hidden_groups(hamiltonian), visible_groups(hamiltonian)
    if not hidden:
        return hamiltonian
    found = [hamiltonian]
    for names in (hidden, visible):
        if factorises(hamiltonian, names):
            found.append(_integrating(hamiltonian, set(names) - _enumerated(hamiltonian)))
    return min(found, key=log_states)


def smaller_side(hamiltonian: Hamiltonian) -> Hamiltonian:
    """The same distribution, with those discrete groups `integrated` that leave the fewest states.

    Of all sets of groups that factorise given the rest; as in `summed_out`, groups that couple to
    continuous units are enumerated in any case.
    """
    kept = _enumerated(hamiltonian)
    free = [group.name for group in hamiltonian.groups if group.name not in kept][:MOST_GROUPS]
    found = [
        _integrating(hamiltonian, set(names))
        for n in range(len(free) + 1)
        for names in combinations(free, n)
        if factorises(hamiltonian, names)
    ]
    return min(found, key=log_states)


def _enumerated(hamiltonian: Hamiltonian) -> set[str]:
    """Continuous groups, and all that couple to them."""
    smooth = {group.name for group in hamiltonian.groups if not group.prior.discrete}
    joined = [set(groups_of(term)) for term in hamiltonian.terms]
    return smooth.union(*(names for names in joined if names & smooth))


def _integrating(hamiltonian: Hamiltonian, names: set[str]) -> Hamiltonian:
    groups = tuple(replace(g, integrated=g.name in names) for g in hamiltonian.groups)
    return replace(hamiltonian, groups=groups)


def log_states(hamiltonian: Hamiltonian) -> float:
    """log2 of the number of states that an enumeration visits."""
    return sum(
        g.size * np.log2(len(g.prior.states))
        for g in hamiltonian.groups
        if g.prior.discrete and not g.integrated
    )


def exact_averages(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients
) -> ExactAverages:
    """Averages at the first coefficient row; `hamiltonian` as `summed_out` gives it."""
    return ExactAverages(enumerate_states(hamiltonian, params, coefficients.take([0])))


@dataclass(frozen=True)
class Reach:
    """How log Z of a model is exact, and what that costs.

    Attributes
    ----------
    way
        ``closed form``, ``transfer matrix`` or ``enumeration``; None where there is none.
    hamiltonian
        The same distribution, with groups marked `integrated` that an enumeration need not visit.
    bits
        log2 of the states that it visits.
    got, legal
        Where there is no way: what was found, and what would be legal.
    """

    way: str | None
    hamiltonian: Hamiltonian
    bits: float
    got: str = ""
    legal: str = ""


def reach(hamiltonian: Hamiltonian) -> Reach:
    """The cheapest exact way to log Z; from the structure alone."""
    small = smaller_side(hamiltonian)
    bits = log_states(small)
    lattice = transfer(hamiltonian)
    if lattice is not None and (bits > STATE_BITS or lattice.log2_work < bits):
        return Reach("transfer matrix", small, bits)
    for t in joining_terms(hamiltonian):
        kinds = [hamiltonian.group(name).prior.kind for name in groups_of(hamiltonian.terms[t])]
        if UnitKind.TRUNCATED_GAUSSIAN in kinds:
            got = f"couplings between {' and '.join(kinds)} units, whose integral has no closed form"
            legal = "truncated Gaussian units that couple to discrete units only"
            return Reach(None, small, bits, got, legal)
    most = _most_bits(small)
    if bits > most + 1e-9:
        got = f"a model whose smaller side has 2^{bits:.4g} states"
        beside = "" if most == STATE_BITS else " (beside many-body terms or truncated Gaussian units)"
        return Reach(None, small, bits, got, f"at most 2^{most:.3g} states{beside}")
    return Reach("enumeration" if bits else "closed form", small, bits)


def _most_bits(small: Hamiltonian) -> float:
    """log2 of the states that can be afforded."""
    truncated = truncated_units(small)
    if truncated:
        return min(STATE_BITS, INTEGRAL_BITS - np.log2(truncated))
    listed = [g for g in small.groups if g.prior.discrete and not g.integrated]
    plain = len(listed) == len(small.groups) and all(len(g.prior.states) == 2 for g in listed)
    many = any(isinstance(term, Many) for term in small.terms)
    return MANY_BITS if many and not plain else STATE_BITS


def truncated_units(hamiltonian: Hamiltonian) -> int:
    """Number of units that take one integral per enumerated state."""
    kind = UnitKind.TRUNCATED_GAUSSIAN
    return sum(group.size for group in hamiltonian.groups if group.prior.kind is kind)


def check_exact(hamiltonian: Hamiltonian, where: str) -> None:
    """Refuse a model whose log Z is out of reach.

    Raises
    ------
    LoweringError
        with the states of the smaller side (or the coupling), what is legal, and the methods that would
        work.
    """
    found = reach(hamiltonian)
    if found.way is None:
        wide = "the lattice is also too wide for a transfer matrix: " if on_lattice(hamiltonian) else ""
        hint = f"{wide}use {OTHERS}"
        raise LoweringError(where, got=f"exact, for {found.got}", expected=found.legal, hint=hint)


def exact_log_z(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients, where: str
) -> np.ndarray:
    """``log Z`` of the first instance at every row of coefficients, ``[row]``, in nats.

    Raises
    ------
    LoweringError
        as `check_exact` does.
    """
    return np.array([each.log_z for each in exact_estimate(hamiltonian, params, coefficients, where)])


def exact_estimate(
    hamiltonian: Hamiltonian, params: Params, coefficients: Coefficients, where: str
) -> list[Estimate]:
    """Estimates of log Z of the first instance, one per row of coefficients, each trusted.

    Diagnostics: ``way`` as in `Reach`; ``states`` that an enumeration visits; ``width`` of a transfer
    matrix, the units whose states are carried along, and ``held``, those that are summed at the end.

    Raises
    ------
    LoweringError
        as `check_exact` does, and for arrays with values that are not finite.
    """
    check_exact(hamiltonian, where)
    for name, values in params.arrays.items():
        if not np.isfinite(values[0]).all():
            at = np.argwhere(~np.isfinite(values[0]))[0].tolist()
            got = f"{values[0][tuple(at)]} in array {name}{at}"
            raise LoweringError(where, got=got, expected="finite numbers")
    found = reach(hamiltonian)
    noted: dict[str, object] = {"way": found.way}
    if found.way == "transfer matrix":
        planned = transfer(hamiltonian)
        noted |= {"width": planned.width, "held": len(planned.held)}
        values = transfer_log_z(hamiltonian, params, coefficients)
    else:
        if found.way == "enumeration":
            noted["states"] = round(2.0**found.bits)
        values = enumerated_log_z(found.hamiltonian, params, coefficients)
    return [Estimate("exact", float(value), 0.0, diagnostics=noted) for value in values]
