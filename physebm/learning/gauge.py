"""Gauges of Potts couplings: parts that fields could carry as well are moved to the fields.

The exponent ``c_J J_ij(a, b) + c_h h_i(a) + c_h h_j(b)`` of a Potts pair does not change when a
function of a alone moves between J and h; nor does p when a constant is added. With an average <.> over
the states of a unit the gauge is

    J_ij(a, b) -> J_ij(a, b) - <J_ij(a, .)> - <J_ij(., b)> + <<J_ij>>
    h_i(a)     -> h_i(a) + (c_J / c_h) sum_j (<J_ij(a, .)> - <<J_ij>>), then minus its own <h_i>

    zero-sum       <.> the plain mean: every row, column and field sums to zero (the least sum of J^2)
    lattice-gas    <.> the value at state 0, which then has neither couplings nor field

A coupling ``J_ij(a) x_j`` of a Potts group to scalar units loses ``<J_ij>``, which is a field on x_j;
Potts patterns lose ``<xi_i>``, and what they did with it goes to the fields. The distribution of all
units, hidden ones included, is unchanged. Couplings ``J_ij delta(a, b)`` have no such freedom.

The arrays in a gauge are a linear space. Moving into it (`fix_gauge`) is no orthogonal projection: it
follows directions in which the likelihood is constant and a penalty is not. Whoever climbs a penalised
likelihood inside a gauge enters once and goes on along the orthogonal projection of the gradient
(`within_gauge`), which vanishes at the maximum in that space and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.errors import LoweringError
from physebm.learning.centring import BLOCK, field_slots
from physebm.model.edges import bonds
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.terms import AllPairs, LowRank, Pair, Term, array_of
from physebm.model.units import UnitKind

GAUGES = ("zero-sum", "lattice-gas")


def fix_gauge(
    hamiltonian: Hamiltonian,
    arrays: Mapping[str, np.ndarray],
    coefficients: np.ndarray,
    kind: str,
    edges: Mapping[int, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """The same distribution in another gauge.

    Parameters
    ----------
    arrays
        ``{slot: [*shape]}`` of at least the trainable slots; only those change.
    coefficients
        ``c_t``, one row ``[term]``.
    kind
        One of `GAUGES`.
    edges
        `Params.edges`, for couplings with state axes on graphs that are not lattices.

    Raises
    ------
    LoweringError
        where `check_gauge` does, and for a field whose coefficient is 0.
    """
    check_gauge(hamiltonian, kind, hamiltonian.name)
    out = dict(arrays)
    moved = {group.name: np.zeros((group.size, group.prior.features)) for group in hamiltonian.groups}
    for t, term in enumerate(hamiltonian.terms):
        if not _has_gauge(hamiltonian, term):
            continue
        name = array_of(term)
        parts = {group: np.zeros_like(held) for group, held in moved.items()}
        if isinstance(term, LowRank):
            new = _patterns(arrays[name], parts[term.group], kind)
        elif not isinstance(term.graph, AllPairs):
            pairs = bonds(hamiltonian, Params(edges=edges or {}), t, 0)
            new = _sparse(arrays[name], pairs, parts[term.a], kind)
        elif term.a == term.b:
            new = _within(arrays[name], parts[term.a], kind)
        else:
            new = _between(arrays[name], parts[term.a], parts[term.b], kind)
        out[name] = new.reshape(arrays[name].shape)
        for group, part in parts.items():
            moved[group] += coefficients[t] * part
    for group, (t, name) in field_slots(hamiltonian).items():
        if np.any(moved[group]):
            if coefficients[t] == 0:
                where = f"{hamiltonian.name}.terms[{t}].scale"
                raise LoweringError(where, got=0, expected="a number other than 0")
            out[name] = out[name] + (moved[group] / coefficients[t]).reshape(out[name].shape)
        if hamiltonian.group(group).prior.kind is UnitKind.POTTS:
            out[name] = out[name] - _average(out[name], -1, kind)
    return out


def within_gauge(
    hamiltonian: Hamiltonian, arrays: Mapping[str, np.ndarray], kind: str
) -> dict[str, np.ndarray]:
    """The orthogonal projection of gradients, steps or arrays onto the arrays of a gauge.

    ``zero-sum`` subtracts the means along every axis of states, fields included; ``lattice-gas`` sets
    what belongs to state 0 to zero. Nothing moves between arrays: the nearest point in the gauge is
    another distribution, unless the arrays were in the gauge already.

    Parameters
    ----------
    arrays
        ``{slot: [*shape]}`` of at least the trainable slots; those without a gauge return as they are.
    """
    out = dict(arrays)
    for term in hamiltonian.terms:
        if not _has_gauge(hamiltonian, term):
            continue
        name = array_of(term)
        alike = isinstance(term, Pair) and isinstance(term.graph, AllPairs) and term.a == term.b
        if alike and kind == "zero-sum":
            group = hamiltonian.group(term.a)
            part = _within(arrays[name], np.zeros((group.size, group.prior.features)), kind)
        else:
            part = _nearest(arrays[name].reshape(_by_states(hamiltonian, term)), kind)
        out[name] = part.reshape(arrays[name].shape)
    for group, (_, name) in field_slots(hamiltonian).items():
        if hamiltonian.group(group).prior.kind is UnitKind.POTTS:
            part = _nearest(arrays[name].reshape(-1, 1, hamiltonian.group(group).prior.features), kind)
            out[name] = part.reshape(arrays[name].shape)
    return out


def _by_states(hamiltonian: Hamiltonian, term: Term) -> tuple[int, ...]:
    """The shape ``(..., states, states)`` of a term's array; 1 for units without states."""
    if isinstance(term, LowRank):
        return (-1, 1, hamiltonian.group(term.group).prior.features)
    a, b = (hamiltonian.group(name) for name in (term.a, term.b))
    places = (a.size, b.size) if isinstance(term.graph, AllPairs) else (-1,)
    return (*places, a.prior.features, b.prior.features)


def _nearest(x: np.ndarray, kind: str) -> np.ndarray:
    """``x [..., states, states]`` projected orthogonally along its axes of states."""
    if kind == "zero-sum":
        return _split(x, kind)[0]
    x = x.copy()
    for axis in (-2, -1):
        if x.shape[axis] > 1:
            np.moveaxis(x, axis, 0)[0] = 0.0
    return x


def _average(x: np.ndarray, axis: int, kind: str) -> np.ndarray:
    """``<.>`` over one axis of states, which stays with length 1."""
    return x.mean(axis=axis, keepdims=True) if kind == "zero-sum" else np.take(x, [0], axis=axis)


def _within(J: np.ndarray, moved: np.ndarray, kind: str) -> np.ndarray:
    """Symmetric ``J [unit, unit, q, q]`` of one group; stays symmetric to the last bit."""
    n, q = moved.shape
    J = J.reshape(n, n, q, q)
    rows = _average(J, 3, kind)
    both = _average(rows, 2, kind)
    both = 0.5 * (both + both.transpose(1, 0, 2, 3))
    moved += (rows - both).sum(axis=1)[:, :, 0]
    columns = rows.transpose(1, 0, 3, 2)
    new = np.empty_like(J)
    step = max(1, BLOCK // (n * q * q))
    for start in range(0, n, step):
        units = slice(start, start + step)
        np.subtract(J[units], rows[units] + columns[units], out=new[units])
        new[units] += both[units]
    return new


def _between(J: np.ndarray, moved_a: np.ndarray, moved_b: np.ndarray, kind: str) -> np.ndarray:
    """``J [unit, unit, features, features]`` of two groups, of which at least one is Potts."""
    (n, k), (m, l) = moved_a.shape, moved_b.shape
    new, of_a, of_b = _split(J.reshape(n, m, k, l), kind)
    moved_a += of_a.sum(axis=1)
    moved_b += of_b.sum(axis=0)
    return new


def _sparse(J: np.ndarray, bonds, moved: np.ndarray, kind: str) -> np.ndarray:
    """``J [..., q, q]`` on edges; places without a bond follow, but move nothing."""
    edges, place = bonds
    new, of_a, of_b = _split(J.reshape(-1, *J.shape[-2:]), kind)
    np.add.at(moved, edges[:, 0], of_a[place])
    np.add.at(moved, edges[:, 1], of_b[place])
    return new


def _split(J: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """J in the gauge, and what it leaves to the fields ``[..., a]`` and ``[..., b]``.

    Where both sides are Potts units, a constant goes with the part of b.
    """
    of_a, of_b = np.zeros(J.shape[:-1]), np.zeros((*J.shape[:-2], J.shape[-1]))
    if J.shape[-2] > 1:
        part = _average(J, -2, kind)
        J, of_b = J - part, part[..., 0, :]
    if J.shape[-1] > 1:
        part = _average(J, -1, kind)
        J, of_a = J - part, part[..., 0]
    return J, of_a, of_b


def _patterns(xi: np.ndarray, moved: np.ndarray, kind: str) -> np.ndarray:
    """``xi [pattern, unit, q]``; a unit feels the averages of all others, not its own."""
    xi = xi.reshape(-1, *moved.shape)
    average = _average(xi, 2, kind)
    new = xi - average
    moved += np.einsum("pia,pi->ia", new, average.sum(axis=1) - average[:, :, 0])
    return new


def _has_gauge(hamiltonian: Hamiltonian, term: Term) -> bool:
    """Whether a term has trainable couplings to single states of Potts units."""
    name = array_of(term)
    if name is None or not hamiltonian.slot(name).trainable:
        return False
    if isinstance(term, LowRank):
        return hamiltonian.group(term.group).prior.kind is UnitKind.POTTS
    return isinstance(term, Pair) and term.states


def check_gauge(hamiltonian: Hamiltonian, kind: str, where: str) -> None:
    """Refuse gauges that cannot be fixed without changing the distribution.

    Raises
    ------
    LoweringError
        for an unknown gauge, models without a gauge freedom, groups without a trainable field that
        could take up what the couplings lose, and arrays that several terms share.
    """
    if kind not in GAUGES:
        raise LoweringError(where, got=kind, expected=("none", *GAUGES))

    def refuse(reason: str):
        raise LoweringError(where, got=kind, expected='gauge = "none" for this model', hint=reason)

    fields = field_slots(hamiltonian)
    terms = [term for term in hamiltonian.terms if _has_gauge(hamiltonian, term)]
    if not terms:
        refuse("it has no trainable coupling to single states of potts units, so nothing to fix")
    arrays = [array_of(term) for term in hamiltonian.terms]
    for term in terms:
        for group in _receivers(hamiltonian, term):
            if group not in fields:
                refuse(
                    f"a part of {array_of(term)} has to move to a trainable field of '{group}', for "
                    "dropping it would change the distribution; declare such a field"
                )
    changed = {array_of(term) for term in terms} | {name for _, name in fields.values()}
    shared = sorted(name for name in changed if arrays.count(name) > 1)
    if shared:
        refuse(f"several terms share the array {shared[0]}, so that its parts cannot move alone")


def _receivers(hamiltonian: Hamiltonian, term: Term) -> set[str]:
    """The groups whose fields take up what a term loses."""
    if isinstance(term, LowRank):
        return {term.group}
    sides = ((term.a, term.b), (term.b, term.a))
    return {b for a, b in sides if hamiltonian.group(a).prior.kind is UnitKind.POTTS}
