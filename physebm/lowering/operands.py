"""Operands: the values that a plan's kernels read, in the layout in which they read them.

Names carry the term index t or the move index m; the first axis is the instance, of length 1 where all
instances share the values (lattices). Scalars per rung never stand here but in the coefficient
table. Dense couplings are float32 (the sampled model is the one with these rounded couplings; all
energies use them too), everything else float64 or integers.

======================  ==========================================================================
``h{t}``                field ``[I, width]``
``w{t}``                Quadratic weights ``[I, n]``; bond weights ``[I, n, d]`` (or ``[I, n, d, q, q]``
                        with the unit's own state first); hyperedge weights ``[I, n, d]``
``n{t}``                neighbour table ``[I, n, d]``, padded with -1; hyperedges ``[I, n, d, arity-1]``
``J{t}``                Running couplings ``[I, width, width]``, row = the unit that changed
``J{t}_rows``           the same where draws gather them, ``[I, n, n, q, padded q]``, see `gathered`
``J{t}_to_a``           Product couplings ``[I, width_b, width_a]``, row = a source unit; also ``_to_b``
``xi{t}``, ``d{t}``     patterns ``[I, width, P]`` and diagonal ``sum_mu xi^2`` ``[I, width]``
``lower{g}``            lower edges of a truncated Gaussian group ``[I, n]``
``order{m}``            visiting order ``[I, positions]``, padded with -1 to chunks of 64 per class
``class{m}``            class of each chunk ``[I, chunks]``
``edges{m}``, ``bond{m}``  cluster moves: bonds ``[I, E, 2]`` and their weights ``[I, E]``
======================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from physebm.errors import LoweringError
from physebm.lowering.gathered import empty_rows, fill_rows
from physebm.lowering.orders import cluster_operands, order_operands, stack_ragged
from physebm.lowering.plan import (
    TABLED,
    ClusterMove,
    Constant,
    Hyper,
    Layout,
    Neighbours,
    Overlap,
    Product,
    Quadratic,
    Running,
    SweepPlan,
    Weights,
)
from physebm.model import energy
from physebm.model.edges import weighted_edges
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params, validate
from physebm.model.terms import array_of
from physebm.model.units import UnitKind


@dataclass(frozen=True)
class Operands:
    """Arrays by name (see the module's table) and, per word-table move, the range of each read.

    `_free` holds the terms whose values `update` was found allowed to change, `_updates` how often some
    were: what is made of them (copies on a device, other orders) is as old as the `version` it was made
    at.
    """

    arrays: Mapping[str, np.ndarray]
    ranges: Mapping[int, tuple[int, ...]]
    instances: int
    _free: set[int] = field(default_factory=set, compare=False, repr=False)
    _updates: list[int] = field(default_factory=lambda: [0], compare=False, repr=False)

    @property
    def version(self) -> int:
        """How often arrays have been overwritten."""
        return self._updates[0]

    def overwritten(self, term: int) -> None:
        """Say that arrays of a term have new values: whoever holds a copy makes it anew."""
        self._free.add(term)
        self._updates[0] += 1

    @property
    def changed_arrays(self) -> frozenset[str]:
        """Names of the arrays that have ever been overwritten."""
        return frozenset(name for name in self.arrays if _term_of(name) in self._free)

    @property
    def nbytes(self) -> int:
        """Total size of the arrays in bytes."""
        return sum(values.nbytes for values in self.arrays.values())


def _term_of(name: str) -> int | None:
    """The term that an array belongs to; none for what belongs to groups and moves."""
    number = "".join(filter(str.isdigit, name))
    terms = name.startswith(("h", "w", "n", "J", "xi", "d"))
    return int(number) if terms else None


def bind(
    plan: SweepPlan, hamiltonian: Hamiltonian, params: Params, *, colours: int | None = None
) -> Operands:
    """Lay out the values of `params` for `plan`, and check them.

    Parameters
    ----------
    colours
        An explicitly requested number of colours; refused where the graph needs more.

    Raises
    ------
    ModelFileError, LoweringError
        for values that the Hamiltonian or the plan does not allow.
    """
    validate(hamiltonian, params)
    arrays: dict[str, np.ndarray] = {}
    for t, read in enumerate(plan.terms):
        arrays.update(_term_operands(plan, hamiltonian, params, t, read))
    for g, group in enumerate(plan.groups):
        if group.prior.kind is UnitKind.TRUNCATED_GAUSSIAN:
            arrays[f"lower{g}"] = np.asarray(params.lower[group.name], dtype=np.float64)
    ranges = {}
    for m, move in enumerate(plan.moves):
        if isinstance(move, ClusterMove):
            arrays.update(cluster_operands(plan, hamiltonian, params, m, move))
        else:
            arrays.update(order_operands(plan, hamiltonian, params, m, move, colours))
            if move.decision in TABLED:
                ranges[m] = tuple(_field_range(plan, arrays, t) for t in move.reads)
    arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    return Operands(arrays, ranges, params.instances)


def _term_operands(plan, hamiltonian, params, t, read) -> dict[str, np.ndarray]:
    term = hamiltonian.terms[t]
    name = array_of(term)
    values = None if name is None else params.arrays[name]
    count = params.instances
    match read:
        case Constant(weights=Weights.UNIT) | Quadratic(weights=Weights.UNIT):
            return {}
        case Constant(group=g, weights=weights):
            kind = np.int32 if weights is Weights.INTEGER else np.float64
            return {f"h{t}": values.reshape(count, plan.groups[g].width).astype(kind)}
        case Quadratic():
            rows = [energy.square_weights(hamiltonian, params, t, i) for i in range(count)]
            return {f"w{t}": np.stack(rows)}
        case Overlap(group=g):
            integer = read.weights is not Weights.REAL and plan.groups[g].prior.discrete
            return _pattern_operands(t, values, plan.groups[g].width, count, integer)
        case Running(group=g) if plan.layout is Layout.GATHERS:
            rows = empty_rows(count, plan.groups[g].size, plan.groups[g].prior.q)
            fill_rows(rows, values, term.states)
            return {f"J{t}_rows": rows}
        case Running() | Product():
            arrays = {
                name: np.zeros(shape, np.float32) for name, shape in _dense_shapes(plan, t, count)
            }
            _fill_dense(plan, t, term.states, values, arrays)
            return arrays
        case Neighbours(group=g):
            return _neighbour_operands(plan, hamiltonian, params, t, read)
        case Hyper():
            return _hyper_operands(plan, hamiltonian, params, t, read)


def _dense_shapes(plan, t, count) -> list[tuple[str, tuple[int, int, int]]]:
    read = plan.terms[t]
    if isinstance(read, Running):
        width = plan.groups[read.group].width
        return [(f"J{t}", (count, width, width))]
    a, b = plan.groups[read.a].width, plan.groups[read.b].width
    return [(f"J{t}_to_b", (count, a, b)), (f"J{t}_to_a", (count, b, a))]


def _fill_dense(plan, t, states: bool, values, arrays) -> None:
    """Overwrite the couplings between all pairs, as `energy.dense_couplings` defines them."""
    read = plan.terms[t]
    within = isinstance(read, Running)
    one, two = (read.group, read.group) if within else (read.a, read.b)
    a, b = plan.groups[one], plan.groups[two]
    out = arrays[f"J{t}" if within else f"J{t}_to_b"]
    k, l = a.prior.features, b.prior.features
    J = out.reshape(len(out), a.size, k, b.size, l)
    values = np.ones((1, a.size, b.size)) if values is None else values
    if k == l == 1:
        J[:, :, 0, :, 0] = values.reshape(-1, a.size, b.size)
    elif states:
        J[:] = values.reshape(-1, a.size, b.size, k, l).transpose(0, 1, 3, 2, 4)
    else:
        for f in range(k):
            J[:, :, f, :, f] = values.reshape(-1, a.size, b.size)
    if within:
        J[:, np.arange(a.size), :, np.arange(a.size), :] = 0.0
    else:
        arrays[f"J{t}_to_a"][:] = out.transpose(0, 2, 1)


def update(
    operands: Operands,
    plan: SweepPlan,
    hamiltonian: Hamiltonian,
    params: Params,
    slots: Collection[str],
) -> None:
    """Overwrite in place what `bind` made of the named slots; for training, so nothing is checked.

    `params` has the shapes that were bound. Launches of these operands see the new values at once; the
    running fields of chains do not, so `Kernels.prepare` has to follow where a term is read as Running
    or Overlap.

    Raises
    ------
    LoweringError
        for a slot whose values are part of the plan: read as integers or by clusters. Lower the model
        with `Options.integers` free of the slots that change.
    """
    for t, read in enumerate(plan.terms):
        name = array_of(hamiltonian.terms[t])
        if name not in slots:
            continue
        if t not in operands._free:
            _refuse_fixed(plan, t, name)
        operands.overwritten(t)
        if f"J{t}_rows" in operands.arrays:
            rows = operands.arrays[f"J{t}_rows"]
            fill_rows(rows, params.arrays[name], hamiltonian.terms[t].states)
            continue
        if isinstance(read, Running | Product):
            _fill_dense(plan, t, hamiltonian.terms[t].states, params.arrays[name], operands.arrays)
            continue
        for key, values in _term_operands(plan, hamiltonian, params, t, read).items():
            if not key.startswith("n"):
                operands.arrays[key][:] = values


def _refuse_fixed(plan: SweepPlan, t: int, name: str) -> None:
    readers = [move for move in plan.moves if t in getattr(move, "reads", (t,))]
    clusters = any(isinstance(move, ClusterMove) for move in readers)
    tables = any(getattr(move, "decision", None) in TABLED for move in readers)
    if clusters or tables or getattr(plan.terms[t], "weights", None) is Weights.INTEGER:
        raise LoweringError(
            f"{plan.name}.arrays.{name}",
            got="new values for an array that was lowered as fixed integers",
            expected="an array that is read as real numbers",
            hint="lower with Options(integers=...) free of the slots that change, without clusters",
        )


def _pattern_operands(t, values, width, count, integer: bool) -> dict[str, np.ndarray]:
    xi = np.ones((1, 1, width)) if values is None else values.reshape(count, -1, width)
    xi = xi.transpose(0, 2, 1).astype(np.int8 if integer else np.float64)
    square = xi.astype(np.int32) if xi.dtype == np.int8 else xi
    return {f"xi{t}": xi, f"d{t}": (square * square).sum(axis=2)}


def _neighbour_operands(plan, hamiltonian, params, t, read) -> dict[str, np.ndarray]:
    n = plan.groups[read.group].size
    tables, weights = [], []
    for i in range(params.instances):
        edges, w = weighted_edges(hamiltonian, params, t, i)
        ends = np.concatenate([edges, edges[:, ::-1]])
        if read.weights is Weights.STATES:
            both = np.concatenate([w, w.transpose(0, 2, 1)])
        else:
            both = np.concatenate([w, w])
        table, filled = _incidence(n, ends[:, 0], ends[:, 1:], both)
        tables.append(table[..., 0])
        weights.append(filled)
    if read.shared:
        tables = tables[:1]
    out = {f"n{t}": stack_ragged(tables, -1).astype(np.int32)}
    if read.weights is not Weights.UNIT:
        kind = np.int32 if read.weights is Weights.INTEGER else np.float64
        out[f"w{t}"] = stack_ragged(weights, 0).astype(kind)
    return out


def _hyper_operands(plan, hamiltonian, params, t, read) -> dict[str, np.ndarray]:
    n = plan.groups[read.group].size
    tables, weights = [], []
    for i in range(params.instances):
        edges, w = energy.hyperedges(hamiltonian, params, t, i)
        owner = np.concatenate([edges[:, p] for p in range(read.arity)])
        others = np.concatenate([np.delete(edges, p, axis=1) for p in range(read.arity)])
        table, filled = _incidence(n, owner, others, np.concatenate([w] * read.arity))
        tables.append(table)
        weights.append(filled)
    if read.shared:
        tables = tables[:1]
    out = {f"n{t}": stack_ragged(tables, -1).astype(np.int32)}
    if read.weights is not Weights.UNIT:
        kind = np.int32 if read.weights is Weights.INTEGER else np.float64
        out[f"w{t}"] = stack_ragged(weights, 0).astype(kind)
    return out


def _incidence(n: int, owner: np.ndarray, others: np.ndarray, weights: np.ndarray):
    """Rows of `others` and `weights` sorted under their owner, padded to the largest degree."""
    by_owner = np.argsort(owner, kind="stable")
    owner, others, weights = owner[by_owner], others[by_owner], weights[by_owner]
    degree = np.bincount(owner, minlength=n)
    width = max(int(degree.max()) if n else 0, 1)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(degree) - degree, degree)
    table = np.full((n, width, others.shape[1]), -1, dtype=np.int64)
    table[owner, place] = others
    filled = np.zeros((n, width, *weights.shape[1:]))
    filled[owner, place] = weights
    return table, filled


def _field_range(plan: SweepPlan, arrays: Mapping[str, np.ndarray], t: int) -> int:
    """The largest absolute value of an integer local field."""
    read = plan.terms[t]
    if isinstance(read, Constant):
        return 1 if read.weights is Weights.UNIT else int(np.abs(arrays[f"h{t}"]).max(initial=1))
    if read.weights is Weights.UNIT:
        table = arrays[f"n{t}"]
        present = (table if table.ndim == 3 else table[..., 0]) >= 0
        return max(int(present.sum(axis=2).max(initial=0)), 1)
    return max(int(np.abs(arrays[f"w{t}"]).sum(axis=2).max(initial=0)), 1)
