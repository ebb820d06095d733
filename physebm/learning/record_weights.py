"""Spectra of trained arrays, and what their leading modes do in the data and in the chains.

A coupling array is read as a matrix ``W [visible side, hidden side]``: rows are the features of the
visible group (of the first group of the term where both are hidden), columns those of the other side.
Couplings within a group have that group on both sides, patterns ``xi [P, unit]`` are the columns.
Potts sides are taken in the zero-sum gauge, in which modes do not depend on the gauge of the array. The
scale of the term is not included. Sparse couplings and fields have a norm only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.roles import visible_groups
from physebm.model.terms import AllPairs, LowRank, Pair, array_of
from physebm.observables.moments import Moments
from physebm.observables.spectra import (
    Components,
    Modes,
    mode_alignment,
    participation_ratio,
    singular_modes,
)

VALUES = 64  # singular values kept
LEADING = 10  # modes that are held against the data


@dataclass(frozen=True)
class WeightMatrix:
    """How a trained array is read as a matrix.

    Attributes
    ----------
    name
        The array.
    shape
        ``[rows, features, columns, features]`` after the reshaping of `matrix`.
    side
        The visible group of the rows; None where it is hidden, or where modes live on units instead of
        features (couplings ``J delta(s, s')`` of Potts units).
    symmetric
        Whether both sides are one group.
    kind
        "states" or "plain" couplings, or "patterns".
    turned
        Whether the array has the other side first.
    """

    name: str
    shape: tuple[int, int, int, int]
    side: str | None
    symmetric: bool
    kind: str
    turned: bool

    def blocks(self, params: Params) -> np.ndarray:
        """``[row unit, feature, column unit, feature]``, Potts sides in the zero-sum gauge."""
        J = params.arrays[self.name][0].astype(np.float64)
        n, f, m, g = self.shape
        if self.kind == "patterns":
            J = J.reshape(m, n, f, 1).transpose(1, 2, 0, 3)
        elif self.turned:
            J = J.reshape(m, n, g, f).transpose(1, 3, 0, 2)
        else:
            J = J.reshape(n, m, f, g).transpose(0, 2, 1, 3)
        for axis in (1, 3):
            if J.shape[axis] > 1:
                J = J - J.mean(axis=axis, keepdims=True)
        return J


def weight_matrices(hamiltonian: Hamiltonian, slots: tuple[str, ...]) -> tuple[WeightMatrix, ...]:
    """The trained arrays that are matrices, in the order of the model, each once."""
    found: dict[str, WeightMatrix] = {}
    for term in hamiltonian.terms:
        name = array_of(term)
        if name not in slots or name in found:
            continue
        if isinstance(term, LowRank):
            found[name] = _of_patterns(hamiltonian, term)
        elif isinstance(term, Pair) and isinstance(term.graph, AllPairs):
            found[name] = _of_couplings(hamiltonian, term)
    return tuple(found.values())


def _of_patterns(hamiltonian: Hamiltonian, term: LowRank) -> WeightMatrix:
    group = hamiltonian.group(term.group)
    width = group.size * group.prior.features
    size = int(np.prod(hamiltonian.slot(term.xi).shape))
    shape = (group.size, group.prior.features, size // width, 1)
    side = group.name if group.name in visible_groups(hamiltonian) else None
    return WeightMatrix(term.xi, shape, side, False, "patterns", False)


def _of_couplings(hamiltonian: Hamiltonian, term: Pair) -> WeightMatrix:
    visible = visible_groups(hamiltonian)
    turned = term.b in visible and term.a not in visible
    names = (term.b, term.a) if turned else (term.a, term.b)
    one, two = (hamiltonian.group(name) for name in names)
    f, g = (group.prior.features if term.states else 1 for group in (one, two))
    side = one.name if one.name in visible and f == one.prior.features else None
    kind = "states" if term.states else "plain"
    shape = (one.size, f, two.size, g)
    return WeightMatrix(term.J, shape, side, term.a == term.b, kind, turned)


def mode_count(weight: WeightMatrix) -> int:
    """Singular values that are kept: at most 64, and not those that the zero-sum gauge makes zero."""
    n, f, m, g = weight.shape
    return min(VALUES, n * max(1, f - 1), m * max(1, g - 1))


def leading_modes(weight: WeightMatrix, W: np.ndarray) -> Modes:
    """Singular values and vectors; of symmetric couplings through their eigenvectors.

    Where two eigenvalues differ in sign only, single singular vectors mean nothing; eigenvectors do.
    """
    if not weight.symmetric:
        return singular_modes(W, mode_count(weight))
    values, vectors = np.linalg.eigh(W)
    order = np.argsort(-np.abs(values), kind="stable")[: mode_count(weight)]
    values, vectors = values[order], vectors[:, order]
    return Modes(np.abs(values), vectors, vectors * np.where(values < 0, -1.0, 1.0))


def mode_squares(U: np.ndarray, moments: Moments, at: slice, centre: np.ndarray) -> np.ndarray:
    """``<m_a^2>``, ``m_a = (1/sqrt N) u_a . (x - centre)``, of unit vectors ``U [feature, mode]``."""
    covariance, shift = moments.covariance[at, at], (moments.mean[at] - centre) @ U
    return (np.einsum("fm,fg,gm->m", U, covariance, U, optimize=True) + shift**2) / len(U)


def measure_weights(
    weights: tuple[WeightMatrix, ...],
    params: Params,
    slots: tuple[str, ...],
    components: Mapping[str, Components],
    place: Mapping[str, slice],
    data: Moments,
    model: Moments | None,
) -> tuple[dict[str, np.ndarray], dict[str, Modes]]:
    """What is recorded of trained arrays, and their modes by name.

    Parameters
    ----------
    slots
        All trained arrays.
    components, place
        Principal components of the data and slices of features, by visible group.
    data, model
        Moments of the visible features; `model` is None where nothing is known of it.
    """
    found = {f"weight_norm_{slot}": np.linalg.norm(params.arrays[slot][0]) for slot in slots}
    modes = {}
    for weight in weights:
        J, name = weight.blocks(params), weight.name
        n, f, m, g = weight.shape
        held = modes[name] = leading_modes(weight, J.reshape(n * f, m * g))
        found[f"singular_values_{name}"] = held.values
        per_unit = np.sqrt((J * J).sum(axis=(1, 3)))
        found[f"weight_participation_{name}"] = participation_ratio(per_unit)
        if weight.side is None:
            continue
        known, at, U = components[weight.side], place[weight.side], held.visible[:, :LEADING]
        found[f"mode_alignment_{name}"] = mode_alignment(U, known.vectors).cosine
        found[f"mode_magnetisation_{name}_data"] = mode_squares(U, data, at, known.mean)
        if model is not None:
            found[f"mode_magnetisation_{name}"] = mode_squares(U, model, at, known.mean)
    return found, modes
