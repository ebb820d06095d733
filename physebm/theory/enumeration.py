"""Exact statistics of small models: every state of the discrete units, the others in closed form.

Continuous units and layers marked `integrated` are integrated through Gamma (Gaussian units coupled to
each other through a determinant). At most `UNITS` discrete units, or as many states as they would
have. Definitions: log Z = log of the sum over states of exp(-u), u the reduced potential.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, ndtri, ndtri_exp

from physebm.errors import LoweringError
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.units import UnitKind
from physebm.observables.order import magnetisation
from physebm.rng.philox import philox4x32, uniform53
from physebm.rng.streams import Purpose, last_word
from physebm.theory.binary_polynomials import binary_sums
from physebm.theory.conditional_form import ConditionalForm, conditional_form
from physebm.theory.conditional_weights import RungWeights

UNITS = 28
STORED_STATES = 2**16
CHUNK = 2**13


@dataclass(frozen=True)
class Exact:
    """Exact averages at every rung of one instance; "per unit" divides by the counted units.

    Attributes
    ----------
    log_z
        ``[rung]``, in nats; continuous priors are normalised densities.
    first, second
        ``<phi_a> [rung, a]`` and ``<phi_a phi_b> [rung, a, b]`` of the features of all units (values;
        indicators for Potts units); read them through `mean` and `pair`.
    derivative, curvature
        ``<du/dbeta>`` and ``d^2 log Z / dbeta^2 = Var(du/dbeta) - <d^2u/dbeta^2>``, ``[rung]``.
    order
        ``<m>, <|m|>, <m^2>, <m^4>`` as ``[rung, 4]``; None where the counted units are not enumerated,
        or are Potts units of several groups.
    probabilities
        ``[rung, state]``, where kept. Unit i is digit i of the state index (lowest first), over the
        enumerated groups in the order of the Hamiltonian; see `states`.
    """

    hamiltonian: Hamiltonian
    coefficients: Coefficients
    form: ConditionalForm
    log_z: np.ndarray
    first: np.ndarray
    second: np.ndarray
    derivative: np.ndarray
    curvature: np.ndarray
    order: np.ndarray | None
    probabilities: np.ndarray | None

    @property
    def beta(self) -> np.ndarray:
        """Inverse temperatures, ``[rung]``."""
        return self.coefficients.beta

    @property
    def energy(self) -> np.ndarray:
        """``<du/dbeta> / N`` per unit, ``[rung]``; for beta-independent priors ``<H> / N``."""
        return self.derivative / self.hamiltonian.counted_units

    @property
    def specific_heat(self) -> np.ndarray:
        """``beta^2 (Var(du/dbeta) - <d2u/dbeta2>) / N`` per unit, ``[rung]``."""
        return self.beta**2 * self.curvature / self.hamiltonian.counted_units

    @property
    def free_energy(self) -> np.ndarray:
        """``-log Z / (beta N)`` per unit, ``[rung]``."""
        return -self.log_z / (self.beta * self.hamiltonian.counted_units)

    @property
    def entropy(self) -> np.ndarray:
        """``(log Z + beta <du/dbeta>) / N`` per unit, ``[rung]``; relative to continuous priors."""
        return (self.log_z + self.beta * self.derivative) / self.hamiltonian.counted_units

    @property
    def susceptibility(self) -> np.ndarray:
        """``beta N (<m^2> - <|m|>^2)``, ``[rung]``."""
        _, size, square, _ = self._order().T
        return self.beta * self.hamiltonian.counted_units * (square - size**2)

    @property
    def binder(self) -> np.ndarray:
        """``1 - <m^4> / (3 <m^2>^2)``, ``[rung]``."""
        _, _, square, fourth = self._order().T
        return 1.0 - fourth / (3.0 * square**2)

    def mean(self, name: str) -> np.ndarray:
        """``<x_i>``, ``[rung, unit]``; probabilities of states ``[rung, unit, q]`` for Potts units."""
        group = self.hamiltonian.group(name)
        values = self.first[:, self._place(name)]
        tail = (group.prior.q,) if group.prior.kind is UnitKind.POTTS else ()
        return values.reshape(len(values), group.size, *tail)

    def pair(self, a: str, b: str) -> np.ndarray:
        """``<x_i y_j>``, ``[rung, unit, unit]``, i = j included; indicators for Potts units.

        Every Potts group adds its state axis at the end, in the order of a, b.
        """
        one, two = self.hamiltonian.group(a), self.hamiltonian.group(b)
        block = self.second[:, self._place(a), self._place(b)]
        full = block.reshape(len(block), one.size, one.prior.features, two.size, two.prior.features)
        full = full.transpose(0, 1, 3, 2, 4)
        potts = [g.prior.kind is UnitKind.POTTS for g in (one, two)]
        drop = tuple(3 + n for n, keep in enumerate(potts) if not keep)
        return full.squeeze(axis=drop) if drop else full

    def states(self, chunk: int = CHUNK) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
        """Configurations of the enumerated units ``{group: x[state, unit]}``, chunk by chunk."""
        for start in range(0, self.form.states, chunk):
            stop = min(start + chunk, self.form.states)
            yield slice(start, stop), self.form.digits(np.arange(start, stop))

    def average(self, f: Callable[[dict[str, np.ndarray]], np.ndarray]) -> np.ndarray:
        """Exact ``<f>``, ``[rung, k]``, of any ``f(states) -> [state, k]`` of the enumerated units."""
        p, total = self._probabilities(), 0.0
        for at, state in self.states():
            total = total + p[:, at] @ np.asarray(f(state), dtype=np.float64)
        return total

    def _place(self, name: str) -> slice:
        """Where a group stands among all features: enumerated ones first."""
        at = self.form.place[name]
        shift = 0 if any(g.name == name for g in self.form.enumerated) else self.form.h_tf.shape[1]
        return slice(at.start + shift, at.stop + shift)

    def _order(self) -> np.ndarray:
        if self.order is None:
            raise LoweringError(
                self.hamiltonian.name,
                got=[group.name for group in self.hamiltonian.counted],
                expected="counted units that are all enumerated; Potts units of one group",
                hint="the magnetisation is not enumerated for these units",
            )
        return self.order

    def _probabilities(self) -> np.ndarray:
        if self.probabilities is None:
            raise LoweringError(
                self.hamiltonian.name,
                got=f"{self.form.states} states without stored probabilities",
                expected="enumerate_states(..., probabilities=True)",
            )
        return self.probabilities


def enumerate_states(
    hamiltonian: Hamiltonian,
    params: Params,
    coefficients: Coefficients,
    instance: int = 0,
    probabilities: bool | None = None,
) -> Exact:
    """Exact averages of one instance at every rung.

    Probabilities are kept up to 2^16 states, or as `probabilities` says. Beyond that number, models of
    Ising and Bernoulli units alone are summed by a compiled kernel.

    Raises
    ------
    LoweringError
        for more than 2^28 states, or couplings without a closed-form integral.
    """
    form = conditional_form(hamiltonian, params, instance)
    if form.states > 2**UNITS:
        discrete = sum(group.size for group in form.enumerated)
        raise LoweringError(
            hamiltonian.name,
            got=f"{discrete} discrete units with {float(form.states):.3g} states",
            expected=f"at most {UNITS} two-state units, or as many states (2^{UNITS})",
            hint="use a smaller instance, or integrate a layer out",
        )
    keep = form.states <= STORED_STATES if probabilities is None else probabilities
    binary = all(g.prior.kind in (UnitKind.ISING, UnitKind.BERNOULLI) for g in form.enumerated)
    if form.states > STORED_STATES and binary and not form.conditional and not keep:
        names = {group.name for group in hamiltonian.counted}
        return Exact(hamiltonian, coefficients, form, *binary_sums(form, coefficients, names), None)
    return _summed(hamiltonian, coefficients, form, keep)


def _summed(hamiltonian, coefficients, form: ConditionalForm, keep: bool) -> Exact:
    """Chunks of states in numpy; sums relative to the largest weight so far of each rung."""
    R = coefficients.rungs
    n_f, n = form.h_tf.shape[1], form.h_tf.shape[1] + form.b_ty.shape[1]
    rungs = [RungWeights(form, coefficients, k) for k in range(R)]
    shift, total = np.full(R, -np.inf), np.zeros(R)
    sums, order = np.zeros((R, 3)), np.zeros((R, 4))
    first, second, var = np.zeros((R, n)), np.zeros((R, n, n)), np.zeros((R, n - n_f))
    magnetic = _is_magnetic(hamiltonian, form)
    log_weights = np.empty((R, form.states)) if keep else None
    for start in range(0, form.states, CHUNK):
        index = np.arange(start, min(start + CHUNK, form.states))
        state = form.digits(index)
        F = form.features(state) if form.enumerated else np.zeros((1, 0))
        E = form.energies(F)
        m = _magnetisation(hamiltonian, state) if magnetic else np.zeros(len(index))
        powers = np.stack([m, np.abs(m), m**2, m**4], axis=1)
        for k in range(R):
            each = rungs[k].evaluate(F, E)
            top = max(shift[k], each.l0.max())
            scale, shift[k] = np.exp(shift[k] - top), top
            for accumulated in (total, sums, order, first, second, var):
                accumulated[k] *= scale
            w = np.exp(each.l0 - top)
            phi = np.concatenate([F, each.mean], axis=1)
            total[k] += w.sum()
            sums[k] += w @ np.stack([-each.l1, each.l1**2, each.l2], axis=1)
            order[k] += w @ powers
            first[k] += w @ phi
            second[k] += phi.T @ (w[:, None] * phi)
            var[k] += w @ each.variance
            if keep:
                log_weights[k, index] = each.l0
    by = total[:, None]
    log_z = shift + np.log(total)
    first, second, var = first / by, second / by[..., None], var / by
    d1, d11, d2 = (sums / by).T
    for k in range(R):
        _add_conditional_covariance(form, rungs[k], first[k], second[k], var[k])
    kept = np.exp(log_weights - log_z[:, None]) if keep else None
    return Exact(
        hamiltonian,
        coefficients,
        form,
        log_z,
        first,
        second,
        d1,
        d11 - d1**2 + d2,
        order / by if magnetic else None,
        kept,
    )


def _add_conditional_covariance(form, rung: RungWeights, first, second, var) -> None:
    """Complete ``<mean mean>`` of the conditional units to ``<y y>``."""
    n_f = form.h_tf.shape[1]
    second[np.arange(n_f, len(first)), np.arange(n_f, len(first))] += var
    g = slice(n_f, n_f + form.gaussian)
    second[g, g] += rung.S - np.diag(np.diag(rung.S))
    for group in form.conditional:
        if group.prior.kind is UnitKind.POTTS:
            for i in range(group.size):
                start = n_f + form.place[group.name].start + i * group.prior.q
                at = slice(start, start + group.prior.q)
                second[at, at] = np.diag(first[at])


def _is_magnetic(hamiltonian: Hamiltonian, form: ConditionalForm) -> bool:
    counted = hamiltonian.counted
    potts = any(group.prior.kind is UnitKind.POTTS for group in counted)
    return all(group in form.enumerated for group in counted) and not (potts and len(counted) > 1)


def _magnetisation(hamiltonian: Hamiltonian, state) -> np.ndarray:
    groups = hamiltonian.counted
    total = sum(g.size * magnetisation(state[g.name], g.prior.kind, g.prior.q) for g in groups)
    return total / hamiltonian.counted_units


def sample_exact(exact: Exact, n: int, key: tuple[int, int], rung: int = 0) -> dict[str, np.ndarray]:
    """`n` independent exact configurations ``{group: x[sample, unit]}`` of all sampled groups.

    The state of the enumerated units by inverse CDF (word at unit block 0), then each continuous unit j
    from its conditional (unit block 1 + j); counter ``(block, sample, 0, CHECK)`` under `key`.
    """
    p, form = exact._probabilities()[rung], exact.form
    cdf = np.cumsum(p)
    index = np.searchsorted(cdf, _uniform(n, 1, 0, key)[:, 0] * cdf[-1], side="right")
    state = form.digits(np.minimum(index, form.states - 1))
    F = form.features(state) if form.enumerated else np.zeros((n, 0))
    names = {group.name for group in exact.hamiltonian.sampled}
    sampled = {name: x for name, x in state.items() if name in names}
    smooth = form.gaussian + form.truncated
    if smooth:
        weights = RungWeights(form, exact.coefficients, rung)
        theta = weights.b[0] + F @ weights.B[0]
        u = _uniform(n, smooth, 1, key)
        g, t = slice(0, form.gaussian), slice(form.gaussian, smooth)
        y = np.empty((n, smooth))
        # A = L L^T, so that z = A^-1 theta + L^-T normal has covariance A^-1.
        y[:, g] = theta[:, g] @ weights.S + np.linalg.solve(weights.root.T, ndtri(u[:, g]).T).T
        y[:, t] = _truncated(theta[:, t], weights.w[0][t], form.lower_y[t], u[:, t])
        for group in form.conditional:
            if group.name in names:
                sampled[group.name] = y[:, form.place[group.name]]
    return {group.name: sampled[group.name] for group in exact.hamiltonian.sampled}


def _truncated(theta, precision, lower, u) -> np.ndarray:
    """Inverse survival function of a truncated Gaussian: ``Q(x) = u Q(edge)``, in logarithms."""
    edge = np.sqrt(precision) * (lower - theta / precision)
    x = -ndtri_exp(np.log(u) + log_ndtr(-edge))
    return np.maximum(theta / precision + x / np.sqrt(precision), lower)


def _uniform(n: int, blocks: int, first: int, key: tuple[int, int]) -> np.ndarray:
    """Uniforms ``[sample, block]`` with 52 bits, from unit block `first` on."""
    at = np.arange(first, first + blocks)
    high, low, _, _ = philox4x32(at, np.arange(n)[:, None], 0, last_word(Purpose.CHECK), *key)
    return uniform53(high, low)
