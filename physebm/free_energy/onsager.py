"""The Onsager term: the second order in the couplings at fixed moments of all units.

    O = (1/2) sum_pairs J_ij^2 V_i V_j = (1/4) sum_i w_i R_i,     R_i = sum_j J_ij^2 w_j,

w the variances V of scalar units. A Potts unit has one w per state, its probabilities, and its
couplings less their means over these stand in place of J: X_ij(a, b) of `tap`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.free_energy.meanfield import scalar_variance
from physebm.free_energy.pairwise import Dense, Edges, pair_couplings
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.statistics import Moments
from physebm.model.units import Prior, UnitKind


class Onsager:
    """O and what it is made of, at one coefficient row ``c_t [term]``."""

    def __init__(self, hamiltonian: Hamiltonian, params: Params, coefficients: np.ndarray):
        self.hamiltonian = hamiltonian
        self.blocks = pair_couplings(hamiltonian, params, coefficients)
        self._fixed: dict[int, np.ndarray] = {}

    def _prior(self, name: str) -> Prior:
        return self.hamiltonian.group(name).prior

    def value(self, moments: Mapping[str, Moments]) -> np.ndarray:
        """O, ``[row]``."""
        parts = [
            0.25 * np.einsum("rif,rif->r", self.weights(name, held), self.pull(name, moments))
            for name, held in moments.items()
        ]
        return np.sum(parts, axis=0)

    def weights(self, name: str, held: Moments) -> np.ndarray:
        """What the squares of couplings are summed with: V, or the probabilities of Potts states."""
        if self._prior(name).kind is UnitKind.POTTS:
            return held.first.reshape(held.rows, -1, self._prior(name).q)
        return scalar_variance(self._prior(name).kind, held)[..., None]

    def pull(self, name: str, moments: Mapping[str, Moments]) -> np.ndarray:
        """``sum_jb X_ij(a, b)^2 w_j(b)`` of one group, ``[row, unit, feature]``: R for scalar units."""
        group, rows = self.hamiltonian.group(name), moments[name].rows
        total = np.zeros((rows, group.size, group.prior.features))
        for k, block in enumerate(self.blocks):
            if name not in (block.a, block.b):
                continue
            other = block.b if name == block.a else block.a
            onto = block.onto_a if name == block.a else block.onto_b
            known, w = moments[name], self.weights(other, moments[other])
            if not (self._prior(name).q or self._prior(other).q):
                if k not in self._fixed:
                    self._fixed[k] = block.J**2
                total += onto(self._fixed[k], w)
                continue
            for r in range(rows):
                here = {name: known, other: moments[other]}
                total[r] += onto(self.centred(block, here, r) ** 2, w[r : r + 1])[0]
        return total

    def centred(self, block: Dense | Edges, moments: Mapping[str, Moments], r: int) -> np.ndarray:
        """X of one block at the moments of row r; the couplings themselves without Potts units."""
        potts = [
            self.weights(name, moments[name])[r] if self._prior(name).q else None
            for name in (block.a, block.b)
        ]
        return block.centred(*potts)

    def gram(self, name: str, moments: Mapping[str, Moments]) -> np.ndarray:
        """``sum_jc w_j(c) X_ij(a, c) X_ij(b, c)`` of a Potts group, ``[unit, a, b]``."""
        group = self.hamiltonian.group(name)
        total = np.zeros((group.size, group.prior.q, group.prior.q))
        for block in self.blocks:
            X = self.centred(block, moments, 0)
            if block.a == name:
                total += block.gram_a(X, self.weights(block.b, moments[block.b])[0])
            elif block.b == name:
                total += block.gram_b(X, self.weights(block.a, moments[block.a])[0])
        return total
