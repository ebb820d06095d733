"""Updates of restricted Boltzmann machines of two-state units, without the detours of the general case.

The general phases ask of every term what it is and go through dictionaries of moments: some 0.3 ms an
update, several times what the sums of a small machine take. A machine with one visible and one hidden
group of two-state units, one array of couplings W between them and one field each (a, b), all trained,
whose samples count alike, needs five passes:

    X                samples and chains under each other
    p = <h | X>      one product and the mean of a unit in its field
    means            of v and h, samples less chains
    dW               one product, less what centring takes off
    W, a, b          one step on, the offsets put into the fields

with the numbers of `phases` and `centring` up to rounding. `TwoStateMachine.of` says which training
this is; every other one takes the general way. Where kernels keep a training beside the chains, on a
device or because the machine is small, the same passes run there (`device_machine`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from physebm.learning import centring
from physebm.learning.chains import Chains
from physebm.learning.recipe import Problem, Recipe
from physebm.model import units
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.roles import hidden_groups
from physebm.model.terms import AllPairs, Field, Pair
from physebm.model.units import UnitKind
from physebm.native.products import SMALLEST, TwoStates, cross, times


@dataclass
class TwoStateMachine:
    """The names of a machine, and the rows of its last update.

    Attributes
    ----------
    visible, hidden
        The groups.
    W, a, b
        Slots of the couplings ``[visible, hidden]``, of the visible and of the hidden field.
    term
        Index of the couplings' term.
    centred
        Whether gradients are taken about offsets.
    """

    hamiltonian: Hamiltonian
    visible: str
    hidden: str
    W: str
    a: str
    b: str
    term: int
    centred: bool
    _rows: np.ndarray | None = field(default=None, init=False, repr=False)
    _signed: np.ndarray | None = field(default=None, init=False, repr=False)

    @classmethod
    def of(
        cls, problem: Problem, recipe: Recipe, slots: tuple[str, ...], chains: Chains | None
    ) -> TwoStateMachine | None:
        """The machine of a problem; None where it is none, or is trained in another way."""
        hamiltonian, hidden = problem.hamiltonian, hidden_groups(problem.hamiltonian)
        found = _couplings(hamiltonian)
        if found is None or chains is None or recipe.method not in ("pcd", "pt", "rdm"):
            return None
        t, pair = found
        fields = {term.group: term.h for term in hamiltonian.terms if isinstance(term, Field)}
        x, names = problem.data.get(pair.a), (pair.J, fields.get(pair.a), fields.get(pair.b))
        if x is None or hidden != (pair.b,) or sorted(map(str, names)) != sorted(slots):
            return None
        alike = np.ptp(problem.weights) == 0.0 and np.all(problem.row == 1.0)
        large = min(*x.shape, hamiltonian.group(pair.b).size) >= SMALLEST
        if not (alike and large and x.dtype == np.int8):
            return None
        return cls(hamiltonian, pair.a, pair.b, *names, t, recipe.centred)

    def gradient(
        self,
        conditionals: Conditionals,
        data: np.ndarray,
        chosen: np.ndarray | None,
        states: np.ndarray,
        offsets: dict[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        """The gradient of the log-likelihood by slot; moves the hidden offsets towards these samples.

        Parameters
        ----------
        data, chosen
            ``x[sample, visible]``, and the samples of this update; None for all.
        states
            Visible configurations of the chains.
        """
        from physebm.native import machine

        chosen = np.arange(len(data)) if chosen is None else chosen
        samples, arrays = len(chosen), conditionals.params.arrays
        X, signed = self._room(samples, len(states), data.shape[1])
        machine.gathered(X, data, chosen, states)
        known = TwoStates(X, self.hamiltonian.group(self.visible).prior.states[0])
        theta = times(known, conditionals.operator(self.term))
        theta += arrays[self.b].reshape(-1).astype(np.float32)
        p = units.mean(self.hamiltonian.group(self.hidden).prior, theta)
        v, h, of_samples = machine.signed_means(X, p, samples)
        less = None
        if self.centred:
            old = offsets.get(self.hidden)
            old = of_samples[:, None] if old is None else old
            offsets[self.hidden] = mu_h = old + centring.RATE * (of_samples[:, None] - old)
            less = np.array([offsets[self.visible][:, 0], v]), np.array([h, mu_h[:, 0]])
        found = {self.W: cross(known, p, signed, less), self.a: v, self.b: h}
        return {slot: g.reshape(arrays[slot].shape[1:]) for slot, g in found.items()}

    def _room(self, samples: int, chains: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows for all configurations, and their weights."""
        if self._rows is None or self._rows.shape != (samples + chains, width):
            self._rows = np.empty((samples + chains, width), np.int8)
            self._signed = np.repeat(
                np.array([1.0 / samples, -1.0 / chains], np.float32), [samples, chains]
            )
        return self._rows, self._signed

    def climbed(
        self,
        arrays: dict[str, np.ndarray],
        directions: dict[str, np.ndarray],
        rate: float,
        offsets: dict[str, np.ndarray],
    ) -> dict[str, np.ndarray]:
        """The arrays a step of `rate` times the directions on."""
        from physebm.native import machine

        W = arrays[self.W]
        n, m = W.shape[0], W.size // W.shape[0]
        mu_v, mu_h = (
            offsets[group].reshape(-1) if self.centred else np.zeros(size)
            for group, size in ((self.visible, n), (self.hidden, m))
        )
        sources = [x[slot] for x in (arrays, directions) for slot in (self.W, self.a, self.b)]
        shapes = ((n, m), (n,), (m,)) * 2
        given = (x.reshape(shape) for x, shape in zip(sources, shapes))
        moved = machine.climbed(*given, mu_v, mu_h, rate)
        return {slot: x.reshape(arrays[slot].shape) for slot, x in zip((self.W, self.a, self.b), moved)}


def _couplings(hamiltonian: Hamiltonian) -> tuple[int, Pair] | None:
    """The one pair term and its index, where all else are two groups of two states, and fields."""
    terms = hamiltonian.terms
    pairs = [(t, term) for t, term in enumerate(terms) if isinstance(term, Pair)]
    fields = [term for term in terms if isinstance(term, Field)]
    two_states = (UnitKind.ISING, UnitKind.BERNOULLI)
    if (
        (len(hamiltonian.groups), len(terms), len(pairs), len(fields)) != (2, 3, 1, 2)
        or any(group.prior.kind not in two_states for group in hamiltonian.groups)
        or not isinstance(pairs[0][1].graph, AllPairs)
        or pairs[0][1].a == pairs[0][1].b
    ):
        return None
    return pairs[0]
