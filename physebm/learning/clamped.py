"""The sampled positive phase of deep machines: hidden units of every data vector, visible units held.

Every training sample keeps its own hidden configuration from one visit to the next, so that the
chains of the positive phase are persistent too; a visit makes `steps` sweeps with the visible units
clamped. R. Salakhutdinov, H. Larochelle, AISTATS (2010) use mean field here; the sampled phase follows
the gradient of the likelihood itself instead of its bound.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.backends.base import Lanes, launch
from physebm.learning.chains import Chains
from physebm.model.roles import hidden_groups, visible_groups
from physebm.rng.streams import key_of
from physebm.sampling import initial


class Clamped:
    """Hidden configurations of all samples, advanced a batch at a time by the same kernels."""

    def __init__(self, chains: Chains, samples: int, steps: int, seed: int, name: tuple[object, ...]):
        self.chains, self.steps = chains, steps
        self.key = np.array([key_of(seed, "clamped", *name)], dtype=np.uint32)
        self.launch = launch(chains.plan, chains.operands, chains.coefficients.take([0]))
        start = chains.random_state(("clamped",), self._lanes(np.arange(samples)))
        self.hidden = {group: start.x[group] for group in hidden_groups(chains.hamiltonian)}

    def _lanes(self, rows: np.ndarray) -> Lanes:
        """One lane per sample, its number as walker; visible units are held."""
        visible = visible_groups(self.chains.hamiltonian)
        held = {g.name: np.full((1, g.size), g.name in visible) for g in self.chains.plan.groups}
        zeros = np.zeros(len(rows))
        return Lanes(zeros, zeros, rows, np.repeat(self.key, len(rows), axis=0), held)

    def advance(
        self, update: int, rows: np.ndarray, batch: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Configurations of all groups for the samples `rows`, hidden ones `steps` sweeps later."""
        lanes = self._lanes(rows)
        state = initial.empty(self.chains.plan, len(rows))
        for name, x in state.x.items():
            x[:] = self.hidden[name][rows] if name in self.hidden else batch[name]
        self.chains.kernels.prepare(state, lanes, self.launch)
        self.chains.kernels.sweep(state, lanes, self.launch, (update - 1) * self.steps, self.steps)
        for name, x in self.hidden.items():
            x[rows] = state.x[name]
        return state.x
