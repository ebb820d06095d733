"""The reference backend: interprets a plan in plain numpy, the executable definition of a sweep.

A colour class is drawn at once from fields that were computed before any of its units moved, so that
an illegal colouring shows as wrong physics here exactly as it would on a parallel device. Fields are
computed afresh from the configuration; there are no running quantities. If another backend
disagrees, this one is right until the physics says otherwise.
"""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr, ndtri

from physebm.backends import reference_clusters
from physebm.backends.base import Lanes, LaneState, Launch
from physebm.lowering.gathered import couplings
from physebm.lowering.plan import (
    CHUNK,
    TABLED,
    BlockUpdate,
    ClusterMove,
    Constant,
    Decision,
    Hyper,
    Layout,
    Neighbours,
    Order,
    Overlap,
    Product,
    Quadratic,
    Rule,
    Running,
    SweepPlan,
    Weights,
    words_per_unit,
)
from physebm.lowering.thresholds import TIE, up_probability
from physebm.model.units import UnitKind
from physebm.rng.philox import philox4x32, uniform, uniform53
from physebm.rng.streams import Purpose, last_word

name = "reference"


def compile(plan: SweepPlan) -> ReferenceKernels:
    """Kernels that interpret `plan`."""
    return ReferenceKernels(plan)


class ReferenceKernels:
    """The seam's functions, written against the plan with numpy."""

    def __init__(self, plan: SweepPlan):
        self.plan = plan

    def prepare(self, state: LaneState, lanes: Lanes, launch: Launch) -> None:
        """Nothing to prepare: every field is computed when it is needed."""

    def sweep(
        self, state: LaneState, lanes: Lanes, launch: Launch, first: int, count: int
    ) -> np.ndarray:
        """Advance every lane by `count` sweeps in place; returns the term energies afterwards."""
        for sweep in range(first, first + count):
            for m, move in enumerate(self.plan.moves):
                if isinstance(move, ClusterMove):
                    reference_clusters.cluster_move(self.plan, m, move, state, lanes, launch, sweep)
                else:
                    self._block_update(m, move, state, lanes, launch, sweep)
        return self.energies(state, lanes, launch)

    def _block_update(self, m: int, move: BlockUpdate, state, lanes, launch, sweep: int) -> None:
        order, classes = (_rows(launch.operands.arrays[f"{k}{m}"], lanes) for k in ("order", "class"))
        for c in range(int(classes.max(initial=-1)) + 1):
            # The positions of one class, per lane; lanes of other instances may have other classes.
            member = np.repeat(classes == c, CHUNK, axis=1) & (order >= 0)
            for positions in _together(member, move.order is Order.SEQUENTIAL):
                self._draw(m, move, state, lanes, launch, sweep, order, positions, member)

    def _draw(self, m, move, state, lanes, launch, sweep, order, positions, member) -> None:
        group = self.plan.groups[move.group]
        x = state.x[group.name]
        take = member[:, positions]
        units = np.where(take, order[:, positions], 0)
        rows = np.arange(len(lanes))[:, None]
        words = [
            self._word(positions, lanes, sweep, move, m, draw)
            for draw in range(words_per_unit(group.prior, move.rule))
        ]
        old = x[rows, units]
        if move.decision in TABLED:
            new = self._look_up(m, move, state, lanes, launch, units, old, words)
        else:
            theta = self._theta(move, state, lanes, launch, units)
            lam = self._precision(move, lanes, launch, units)
            lower = launch.operands.arrays.get(f"lower{move.group}")
            lower = None if lower is None else _rows(lower, lanes)[rows, units]
            new = draw(group.prior, move.rule, theta, lam, lower, old, words)
        free = take
        if group.name in lanes.clamp:
            held = lanes.clamp[group.name]
            free = take & ~np.broadcast_to(held, x.shape)[rows, units]
        where = np.nonzero(free)
        x[where[0], units[where]] = new[where]

    @staticmethod
    def _word(positions, lanes, sweep, move: BlockUpdate, m: int, draw: int) -> np.ndarray:
        if move.decision is Decision.BIT_PLANES:
            return _plane_words(positions, lanes, sweep, _purpose(move), m)
        return _words(positions, lanes, sweep, _purpose(move), m, draw)

    def _look_up(self, m, move, state, lanes, launch, units, old, words) -> np.ndarray:
        index = np.zeros(units.shape, dtype=np.int64)
        for t, limit in zip(move.reads, launch.operands.ranges[m]):
            field = self._field(t, move.group, state, lanes, launch, units)[..., 0]
            index = index * (2 * limit + 1) + field.astype(np.int64) + limit
        threshold = launch.tables[m][lanes.rung[:, None], 2 * index + (old > 0)]
        word = np.zeros(units.shape, np.int64) if not words else words[0].astype(np.int64)
        low, high = self.plan.groups[move.group].prior.states
        return np.where(word < threshold, high, low)

    def _theta(self, move, state, lanes, launch, units) -> np.ndarray:
        prior = self.plan.groups[move.group].prior
        theta = np.zeros((*units.shape, prior.features))
        for t in move.reads:
            if not isinstance(self.plan.terms[t], Quadratic):
                c = launch.coefficients.value[lanes.rung, t]
                theta += c[:, None, None] * self._field(t, move.group, state, lanes, launch, units)
        return theta

    def _precision(self, move, lanes, launch, units) -> np.ndarray:
        lam = np.zeros(units.shape)
        rows = np.arange(len(lanes))[:, None]
        for t in move.reads:
            if isinstance(self.plan.terms[t], Quadratic):
                w = launch.operands.arrays.get(f"w{t}")
                c = launch.coefficients.value[lanes.rung, t][:, None]
                lam += c * (1.0 if w is None else _rows(w, lanes)[rows, units])
        return lam

    def _field(self, t, target, state, lanes, launch, units) -> np.ndarray:
        """``f[lane, unit, feature]`` of term t on the given units of group `target`."""
        read, arrays = self.plan.terms[t], launch.operands.arrays
        group = self.plan.groups[target]
        n, k = group.size, group.prior.features
        rows = np.arange(len(lanes))[:, None]
        columns = (units[..., None] * k + np.arange(k)).astype(np.int64)
        match read:
            case Constant():
                if read.weights is Weights.UNIT:
                    return np.ones((*units.shape, k))
                return _rows(arrays[f"h{t}"], lanes)[rows[..., None], columns].astype(np.float64)
            case Product():
                source, J = (read.b, f"J{t}_to_a") if target == read.a else (read.a, f"J{t}_to_b")
                f = np.matmul(
                    self._features(source, state)[:, None, :],
                    _rows(arrays[J], lanes).astype(np.float64),
                )[:, 0]
                return f[rows[..., None], columns]
            case Running():
                gathers = self.plan.layout is Layout.GATHERS
                J = couplings(arrays[f"J{t}_rows"]) if gathers else arrays[f"J{t}"]
                J = _rows(J, lanes).astype(np.float64)
                f = np.matmul(self._features(target, state)[:, None, :], J)[:, 0]
                return f[rows[..., None], columns]
            case Overlap():
                xi = _rows(arrays[f"xi{t}"], lanes).astype(np.float64)
                v = self._features(target, state)
                M = np.matmul(v[:, None, :], xi)
                own = (xi * v[:, :, None]).reshape(len(lanes), n, k, -1).sum(axis=2)
                f = np.einsum("lifp,lip->lif", xi.reshape(len(lanes), n, k, -1), M - own)
                return f[rows, units]
            case Neighbours():
                return self._gather(t, read, state, lanes, arrays, units, k)
            case Hyper():
                table = _rows(arrays[f"n{t}"], lanes)[rows, units]
                x = state.x[group.name].astype(np.float64)
                factors = np.where(table >= 0, x[rows[..., None, None], table], 0.0)
                w = arrays.get(f"w{t}")
                w = 1.0 if w is None else _rows(w, lanes)[rows, units]
                return (factors.prod(axis=-1) * w).sum(axis=-1)[..., None]
        raise AssertionError(read)

    def _gather(self, t, read, state, lanes, arrays, units, k) -> np.ndarray:
        rows = np.arange(len(lanes))[:, None]
        table = _rows(arrays[f"n{t}"], lanes)[rows, units]
        w = arrays.get(f"w{t}")
        w = (table >= 0) * 1.0 if w is None else _rows(w, lanes)[rows, units]
        group = self.plan.groups[read.group]
        x = state.x[group.name][rows[..., None], table]
        if read.weights is Weights.STATES:
            present = (table >= 0)[..., None]
            picked = np.take_along_axis(w, x[..., None, None].astype(np.int64), axis=-1)[..., 0]
            return (picked * present).sum(axis=2)
        if group.prior.kind is UnitKind.POTTS:
            return (w[..., None] * (x[..., None] == np.arange(k))).sum(axis=2)
        return (w * x).sum(axis=2)[..., None]

    def _features(self, g: int, state: LaneState) -> np.ndarray:
        group = self.plan.groups[g]
        x = state.x[group.name]
        if group.prior.kind is UnitKind.POTTS:
            indicator = x[..., None] == np.arange(group.prior.q)
            return indicator.reshape(len(x), -1).astype(np.float64)
        return x.astype(np.float64)

    def energies(self, state: LaneState, lanes: Lanes, launch: Launch) -> np.ndarray:
        """``E_lt`` from the local fields: ``-x.f`` over the number of units that share an edge."""
        E = np.zeros((len(lanes), len(self.plan.terms)))
        for t, read in enumerate(self.plan.terms):
            target = read.a if isinstance(read, Product) else read.group
            group = self.plan.groups[target]
            units = np.broadcast_to(np.arange(group.size), (len(lanes), group.size))
            v = self._features(target, state)
            if isinstance(read, Quadratic):
                w = launch.operands.arrays.get(f"w{t}")
                E[:, t] = 0.5 * (v**2 * (1.0 if w is None else _rows(w, lanes))).sum(axis=1)
                continue
            f = self._field(t, target, state, lanes, launch, units).reshape(len(lanes), -1)
            shared = {Constant: 1, Product: 1}.get(type(read), getattr(read, "arity", 2))
            E[:, t] = -(v * f).sum(axis=1) / shared
        return E


def draw(prior, rule: Rule, theta, lam, lower, old, words) -> np.ndarray:
    """New states from the conditional with field ``theta[..., feature]`` and precision `lam`."""
    match prior.kind:
        case UnitKind.ISING | UnitKind.BERNOULLI:
            low, high = prior.states
            gap = (high - low) * theta[..., 0]
            if rule is Rule.HEAT_BATH:
                with np.errstate(over="ignore"):
                    up = uniform(words[0]) * (1.0 + np.exp(-gap)) < 1.0
            elif rule is Rule.METROPOLIS:
                up = uniform(words[0]) < up_probability(rule, gap, old > 0)
            else:
                up = up_probability(rule, gap, old > 0) > 0.5
            return np.where(up, high, low)
        case UnitKind.POTTS:
            return _draw_potts(rule, theta, old, words)
        case UnitKind.GAUSSIAN:
            return theta[..., 0] / lam + ndtri(uniform53(*words)) / np.sqrt(lam)
        case UnitKind.TRUNCATED_GAUSSIAN:
            edge = np.sqrt(lam) * (lower - theta[..., 0] / lam)
            return lower + tail_excess(edge, uniform53(*words)) / np.sqrt(lam)


def _draw_potts(rule: Rule, theta, old, words) -> np.ndarray:
    q = theta.shape[-1]
    here = np.take_along_axis(theta, old[..., None].astype(np.int64), axis=-1)[..., 0]
    if rule is Rule.ZERO_TEMPERATURE:
        best = theta.max(axis=-1)
        return np.where(here == best, old, theta.argmax(axis=-1))
    if rule is Rule.METROPOLIS:
        other = np.minimum((uniform(words[1]) * (q - 1)).astype(np.int64), q - 2)
        other = other + (other >= old)
        there = np.take_along_axis(theta, other[..., None], axis=-1)[..., 0]
        tie = np.where(np.abs(there - here) < TIE, 0.5, 1.0)
        accept = uniform(words[0]) < tie * np.exp(np.minimum(0.0, there - here))
        return np.where(accept, other, old)
    weights = np.exp(theta - theta.max(axis=-1, keepdims=True))
    cumulative = np.cumsum(weights, axis=-1)
    target = uniform(words[0]) * cumulative[..., -1]
    return np.minimum((cumulative <= target[..., None]).sum(axis=-1), q - 1)


def tail_excess(edge: np.ndarray, u: np.ndarray) -> np.ndarray:
    """``e >= 0`` with ``Q(edge + e) = u Q(edge)``, Q the normal tail: fixed work, one uniform.

    Below 3 by the inverse tail itself; above, where Q underflows, three Halley steps on
    ``log Q(edge + e) - log Q(edge) = log u`` from the root of ``edge e + e^2/2 = -log u``.
    """
    edge, u = np.broadcast_arrays(np.asarray(edge, float), u)
    near = np.minimum(edge, 3.0)
    z = np.maximum(-ndtri(u * ndtr(-near)) - near, 0.0)
    far = np.maximum(edge, 3.0)
    log_u = np.log(u)
    e = -2.0 * log_u / (far + np.sqrt(far**2 - 2.0 * log_u))
    base = erfcx(far / np.sqrt(2.0))
    for _ in range(3):
        tail = erfcx((far + e) / np.sqrt(2.0))
        hazard = np.sqrt(2.0 / np.pi) / tail
        g = np.log(tail / base) - far * e - 0.5 * e * e - log_u
        e = e + 2.0 * g / (2.0 * hazard - g * (hazard - (far + e)))
    return np.where(edge < 3.0, z, np.maximum(e, 0.0))


def _purpose(move: BlockUpdate) -> Purpose:
    metropolis = move.rule is Rule.METROPOLIS
    if move.decision is Decision.BIT_PLANES:
        return Purpose.METROPOLIS_PLANES if metropolis else Purpose.HEAT_BATH_PLANES
    return Purpose.METROPOLIS if metropolis else Purpose.HEAT_BATH


def _words(positions, lanes: Lanes, sweep: int, purpose: Purpose, move: int, draw: int):
    """Word ``(p >> 4) & 3`` of block ``16 (p >> 6) + (p & 15)`` for every lane and position."""
    p = np.asarray(positions)[None, :]
    block = 16 * (p >> 6) + (p & 15)
    four = philox4x32(
        block,
        lanes.walker[:, None],
        sweep,
        last_word(purpose, move, draw),
        lanes.key[:, :1],
        lanes.key[:, 1:],
    )
    return np.choose((p >> 4) & 3, four)


def _plane_words(positions, lanes: Lanes, sweep: int, purpose: Purpose, move: int):
    """Words made of one bit per walker: digit d is a bit of word ``d & 3`` at draw index ``d >> 2``."""
    p, walker = np.asarray(positions)[None, :], lanes.walker[:, None]
    word = np.zeros((len(lanes), p.shape[1]), dtype=np.uint32)
    for draw in range(8):
        last = last_word(purpose, move, draw)
        for four in philox4x32(p, walker >> 5, sweep, last, lanes.key[:, :1], lanes.key[:, 1:]):
            word = word << 1 | four >> (walker & 31) & 1
    return word


def _together(member: np.ndarray, sequential: bool) -> list[np.ndarray]:
    """Positions that are drawn together: a whole class, or one unit at a time."""
    positions = np.flatnonzero(member.any(axis=0))
    return [positions[i : i + 1] for i in range(len(positions))] if sequential else [positions]


def _rows(values: np.ndarray, lanes: Lanes) -> np.ndarray:
    """The rows of each lane's instance; arrays of length 1 are shared by all instances."""
    return values[lanes.instance] if len(values) > 1 else np.repeat(values, len(lanes), axis=0)
