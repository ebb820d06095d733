"""Values: arrays stacked over instances, and coefficients stacked over rungs.

`Params`
    the values of every slot, ``[instance, *slot.shape]`` in float64 or small integers, and the edge
    lists of sparse graphs ``[instance, edge, arity]``, padded with -1; an instance is one set
    of values (a sample of disorder, a training snapshot).
`Coefficients`
    per rung k and term t the number ``c_kt`` of the reduced potential and its first two derivatives
    in beta. In plain tempering ``c_kt = beta_k scale_t``; the prior of a Gaussian unit has its own
    coefficient, which does not carry beta: 1 for a fixed variance, beta where ``variance = "T"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from physebm.errors import ModelFileError
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import AllPairs, Pair, Square, array_of

# Couplings are held in single precision, and a field is a sum over units.
LARGEST = 1e30


@dataclass(frozen=True)
class Params:
    """Arrays ``[instance, ...]`` by slot, edges ``[instance, edge, arity]`` by term index.

    `lower` holds the lower edges of truncated Gaussian groups, ``[instance, unit]``.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    edges: Mapping[int, np.ndarray] = field(default_factory=dict)
    lower: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def instances(self) -> int:
        """Number of stacked instances (1 when there is no array at all)."""
        for values in (*self.arrays.values(), *self.edges.values(), *self.lower.values()):
            return len(values)
        return 1

    def instance(self, index: int) -> Params:
        """The params of one instance, still with an instance axis of length 1."""
        pick = slice(index, index + 1)
        return Params(
            {name: values[pick] for name, values in self.arrays.items()},
            {term: values[pick] for term, values in self.edges.items()},
            {name: values[pick] for name, values in self.lower.items()},
        )

    def with_arrays(self, **arrays: np.ndarray) -> Params:
        """A copy with some slots replaced; arrays as ``[instance, ...]``."""
        return Params({**self.arrays, **arrays}, self.edges, self.lower)


def stack(parts: list[Params]) -> Params:
    """Instances of several params under each other."""
    first = parts[0]
    return Params(
        {k: _join([p.arrays[k] for p in parts], 0) for k in first.arrays},
        {k: _join([p.edges[k] for p in parts], -1) for k in first.edges},
        {k: np.concatenate([p.lower[k] for p in parts]) for k in first.lower},
    )


def _join(parts: list[np.ndarray], fill: float) -> np.ndarray:
    """Concatenate instances; edge lists of random graphs differ in length and are padded."""
    longest = max(part.shape[1] if part.ndim > 1 else 0 for part in parts)
    padded = []
    for part in parts:
        pad = [(0, 0)] * part.ndim
        if part.ndim > 1:
            pad[1] = (0, longest - part.shape[1])
        padded.append(np.pad(part, pad, constant_values=fill))
    return np.concatenate(padded)


def validate(hamiltonian: Hamiltonian, params: Params) -> None:
    """Check shapes, finiteness, symmetry and positivity of every array.

    Raises
    ------
    ModelFileError
        naming the slot, what was found and what the term needs.
    """
    for slot in hamiltonian.slots:
        where = f"{hamiltonian.name}.arrays.{slot.name}"
        values = params.arrays.get(slot.name)
        if values is None:
            raise ModelFileError(where, hint="this array has no values")
        if not _fits(values.shape[1:], slot.shape):
            raise ModelFileError(
                where, got=f"shape {list(values.shape[1:])}", expected=f"shape {list(slot.shape)}"
            )
        if not np.all(np.isfinite(values)):
            bad = np.argwhere(~np.isfinite(values))[0][1:].tolist()
            raise ModelFileError(where, got=f"a non-finite value at {bad}", expected="finite numbers")
        if np.abs(values).max(initial=0) > LARGEST:
            raise ModelFileError(
                where,
                got=f"a value of {np.abs(values).max():g}",
                expected=f"numbers up to {LARGEST:g}, whose sums single precision holds",
            )
    for term in hamiltonian.terms:
        name = array_of(term)
        if name is None:
            continue
        where = f"{hamiltonian.name}.arrays.{name}"
        if isinstance(term, Square):
            values = params.arrays[name]
            if term.inverse and np.any(values <= 0):
                raise ModelFileError(
                    where, got=float(values.min()), expected="variances greater than 0"
                )
        if isinstance(term, Pair) and term.a == term.b and isinstance(term.graph, AllPairs):
            _check_symmetric(where, params.arrays[name], hamiltonian.group(term.a).size, term.states)


def _fits(shape: tuple[int, ...], slot: tuple[int, ...]) -> bool:
    """Equal shapes, where a slot axis of -1 (bonds of a random graph) takes any length."""
    return len(shape) == len(slot) and all(n in (m, -1) for m, n in zip(shape, slot))


def _check_symmetric(where: str, values: np.ndarray, units: int, states: bool) -> None:
    J = values.reshape(len(values), units, units, *(values.shape[-2:] if states else ()))
    mirrored = J.transpose(0, 2, 1, 4, 3) if states else J.transpose(0, 2, 1)
    if not np.array_equal(J, mirrored):
        gap = np.abs(J - mirrored)
        at = np.unravel_index(int(gap.argmax()), gap.shape)[1:]
        raise ModelFileError(
            where,
            got=f"J{[int(i) for i in at]} differs from its mirror image by {gap.max():.3g}",
            expected="a symmetric array (J[i,j] = J[j,i]; with states J[i,j,a,b] = J[j,i,b,a])",
        )
    diagonal = J[:, np.arange(units), np.arange(units)]
    if np.any(diagonal != 0):
        at = int(np.argwhere(diagonal != 0)[0][1])
        raise ModelFileError(
            where,
            got=f"J[{at},{at}] = {diagonal[diagonal != 0][0]:g}",
            expected="a zero diagonal",
            hint="a unit has no coupling with itself; set the diagonal to 0",
        )


@dataclass(frozen=True)
class Coefficients:
    """``value[rung, term]`` with derivatives in beta; `beta` is ``[rung]``."""

    beta: np.ndarray
    value: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def rungs(self) -> int:
        """Number of rungs."""
        return len(self.beta)

    def take(self, rungs) -> Coefficients:
        """The coefficients of some rungs, in the given order."""
        return Coefficients(self.beta[rungs], self.value[rungs], self.first[rungs], self.second[rungs])
