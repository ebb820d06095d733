"""The centred gradient: the same model in variables from which an offset is subtracted.

Writing a coupling as ``- J_ij (x_i - mu_i)(x_j - mu_j)`` is a change of variables (J, h) -> (J, h~)
with ``c_h h_i = c_h h~_i - c_J sum_j J_ij mu_j``; the distribution is the same, the steepest
direction is not, and it no longer depends on which states of a binary unit are called 0 and 1.
K. Cho, T. Raiko, A. Ilin, Neural Comput. 25, 805 (2013); J. Melchior, A. Fischer, L. Wiskott,
J. Mach. Learn. Res. 17(99), 1 (2016). Offsets are the data means of visible units and running means
of the hidden units' conditional means.

An offset of group b shifts the field of group a: it is applied only where a has a trainable field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physebm.errors import LoweringError
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.statistics import Averages, RowAverages, statistics
from physebm.model.terms import LowRank, Many, Pair, array_of, groups_of

# Weight of the present batch in the running mean of hidden units.
RATE = 0.01

# Numbers of a large array that are taken together: they stay in the second cache.
BLOCK = 2**15

Offsets = Mapping[str, np.ndarray]


def field_slots(hamiltonian: Hamiltonian) -> dict[str, tuple[int, str]]:
    """Per group the term index and slot of its own trainable field, see `Hamiltonian.field_slots`."""
    return hamiltonian.field_slots


def check_centred(hamiltonian: Hamiltonian, where: str) -> None:
    """Refuse models in which centring is not a linear change of variables, or changes nothing.

    Raises
    ------
    LoweringError
        with the term that stands against it.
    """
    for t, term in enumerate(hamiltonian.terms):
        name = array_of(term)
        if isinstance(term, LowRank | Many) and name and hamiltonian.slot(name).trainable:
            raise LoweringError(
                where,
                got="centred",
                expected="plain",
                hint=f"no field can take up an offset of terms[{t}]: it is no plain pair coupling",
            )
    pairs = [term for term in hamiltonian.terms if isinstance(term, Pair)]
    fields = field_slots(hamiltonian)
    if not any(name in fields for term in pairs for name in groups_of(term)):
        raise LoweringError(
            where,
            got="centred",
            expected="plain",
            hint="no coupled group has a trainable field that could take up an offset; declare one",
        )


@dataclass(frozen=True)
class CentredAverages:
    """Averages of features minus offsets, up to constants that cancel between the two phases."""

    averages: Averages
    hamiltonian: Hamiltonian
    offsets: Offsets

    def mean(self, name: str) -> np.ndarray:
        """``<phi_i(a)>``, ``[unit, feature]``; the offset cancels between the phases."""
        return self.averages.mean(name)

    def pair(self, a: str, b: str) -> np.ndarray:
        """``<(phi_i - mu_i)(phi_j - mu_j)>`` up to a constant, ``[unit, feature, unit, feature]``."""
        of_a, of_b = self._offset(a, b), self._offset(b, a)
        if of_a is None and of_b is None:
            return self.averages.pair(a, b)
        mean_a, mean_b = self.averages.mean(a), self.averages.mean(b)
        if a == b:
            C = self.averages.pair(a, b)
            return _without_offsets(C, of_a.ravel(), mean_a.ravel())
        sides = [(of_a, mean_b)] if of_a is not None else []
        sides += [(mean_a, of_b)] if of_b is not None else []
        rows, columns = (np.stack([side.ravel() for side in each]) for each in zip(*sides))
        if isinstance(self.averages, RowAverages):
            return self.averages.pair(a, b, (rows, columns))
        C = self.averages.pair(a, b)
        return C - (rows.T @ columns).reshape(C.shape)

    def along(self, name: str, edges: np.ndarray) -> np.ndarray:
        """The same on edges, ``[edge, feature, feature]``."""
        C = self.averages.along(name, edges)
        mu = self._offset(name, name)
        if mu is None:
            return C
        i, j = edges.T
        M = self.averages.mean(name)
        return C - np.einsum("ef,eg->efg", mu[i], M[j]) - np.einsum("ef,eg->efg", M[i], mu[j])

    def square(self, name: str) -> np.ndarray:
        """``<x_i^2>``, ``[unit]``."""
        return self.averages.square(name)

    def product(self, name: str, edges: np.ndarray) -> np.ndarray:
        """``<prod_{i in e} x_i>``, ``[edge]``."""
        return self.averages.product(name, edges)

    def _offset(self, own: str, partner: str) -> np.ndarray | None:
        """The offset of a group as its partner's field sees it; None where that has no field."""
        return self.offsets.get(own) if partner in field_slots(self.hamiltonian) else None


def _without_offsets(C: np.ndarray, mu: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """``C - (mu mean^T + mean mu^T)``, symmetric to the last bit; rows that fit a cache at a time."""
    width = len(mu)
    C_ij, out = C.reshape(width, width), np.empty((width, width))
    step = max(1, BLOCK // width)
    for start in range(0, width, step):
        rows = slice(start, start + step)
        shift = np.multiply.outer(mu[rows], mean)
        shift += np.multiply.outer(mean[rows], mu)
        np.subtract(C_ij[rows], shift, out=out[rows])
    return out.reshape(C.shape)


@dataclass(frozen=True)
class _FieldsAlone:
    """What a gradient of fields alone would be an average of: ``g_h / c_h``, no products."""

    means: Mapping[str, np.ndarray]

    def mean(self, name: str) -> np.ndarray:
        return self.means[name]

    def pair(self, a: str, b: str) -> np.ndarray:
        return np.zeros((*self.means[a].shape, *self.means[b].shape))

    def along(self, name: str, edges: np.ndarray) -> np.ndarray:
        features = self.means[name].shape[1]
        return np.zeros((len(edges), features, features))


def centred(
    gradient: Mapping[str, np.ndarray], conditionals: Conditionals, offsets: Offsets
) -> dict[str, np.ndarray]:
    """A gradient in (J, h) as one in (J, h~): at fixed h~ a coupling moves the fields too.

    Phases come centred from `CentredAverages`; this is for what is no average, as penalties.
    """
    hamiltonian, coefficients = conditionals.hamiltonian, conditionals.coefficients
    means = {g.name: np.zeros((g.size, g.prior.features)) for g in hamiltonian.groups}
    for name, (t, slot) in field_slots(hamiltonian).items():
        if slot in gradient:
            means[name] = gradient[slot].reshape(means[name].shape) / coefficients[t]
    averages = CentredAverages(_FieldsAlone(means), hamiltonian, offsets)
    pairs = [term.J for term in hamiltonian.terms if isinstance(term, Pair) and term.J in gradient]
    pull = statistics(hamiltonian, conditionals.params, averages, coefficients, pairs)
    return {slot: g + pull.get(slot, 0.0) for slot, g in gradient.items()}


def uncentred(
    steps: dict[str, np.ndarray], conditionals: Conditionals, offsets: Offsets
) -> dict[str, np.ndarray]:
    """Steps in (J, h~) as steps in (J, h): every trained coupling's offset is put into the fields."""
    hamiltonian, coefficients = conditionals.hamiltonian, conditionals.coefficients
    changed = {name: step[None] for name, step in steps.items()}
    moved = Conditionals(
        hamiltonian, coefficients, conditionals.params.with_arrays(**changed), np.float64
    )
    out = dict(steps)
    fields = field_slots(hamiltonian)
    for t, term in enumerate(hamiltonian.terms):
        if not isinstance(term, Pair) or term.J not in steps:
            continue
        for own, partner in {(term.a, term.b), (term.b, term.a)}:
            if own not in fields or partner not in offsets:
                continue
            at, slot = fields[own]
            J = moved.operator(t)
            mu = offsets[partner].reshape(1, -1)
            shift = mu @ (J if partner == term.a else J.T)
            out[slot] = out[slot] - np.reshape(shift, out[slot].shape) / coefficients[at]
    return out
