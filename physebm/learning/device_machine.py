"""A machine of two-state units whose training stays where its chains are swept.

Where kernels can keep data, arrays and optimiser beside the chains (`backends.training`), an update of
a `TwoStateMachine` copies no rows and no couplings: the trainer has the arrays of some earlier update
until someone asks for the present ones (a record, a checkpoint), and hands over its own where it was
given others (a resumption). Numbers are those of `learning.machine` up to rounding. The
host's kernels do so for small machines, whose updates would be mostly calls of numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physebm.backends.training import MOMENTS, PARTS, Climb, Sweeping, Told, Training, Trains
from physebm.learning import centring
from physebm.learning.chains import Chains
from physebm.learning.divergence import LARGEST
from physebm.learning.machine import TwoStateMachine
from physebm.learning.recipe import Problem, Recipe
from physebm.lowering.plan import Constant, Product, Weights
from physebm.model.terms import Field

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Fetched:
    """Present arrays and those before the last update by slot, moments by name, offsets by group."""

    arrays: Arrays
    previous: Arrays
    moments: Arrays
    offsets: Arrays


class DeviceMachine:
    """The arrays of a machine on a device, and whether host and device have the same.

    Attributes
    ----------
    current
        Whether the device has the host's arrays, or later ones.
    ahead
        Whether it has later ones.
    """

    def __init__(self, machine: TwoStateMachine, training: Training, chains: Chains, shapes: Mapping):
        self.machine, self.chains = machine, chains
        self._training, self._shapes = training, shapes
        self._slots = dict(zip(PARTS, (machine.W, machine.a, machine.b), strict=True))
        self._groups = {"a": machine.visible, "b": machine.hidden}
        self.current = self.ahead = False

    @classmethod
    def of(
        cls,
        machine: TwoStateMachine | None,
        problem: Problem,
        recipe: Recipe,
        chains: Chains | None,
    ) -> DeviceMachine | None:
        """The machine of a training whose kernels can keep it; None for others."""
        if machine is None or not isinstance(chains.kernels, Trains):
            return None
        terms, reads = problem.hamiltonian.terms, chains.plan.terms
        of_group = {term.group: t for t, term in enumerate(terms) if isinstance(term, Field)}
        fields = of_group[machine.visible], of_group[machine.hidden]
        real = all(isinstance(reads[t], Constant) and reads[t].weights is Weights.REAL for t in fields)
        if not (isinstance(reads[machine.term], Product) and real):
            return None
        slots, optimiser = (machine.W, machine.a, machine.b), recipe.optimiser
        climb = Climb(
            couplings=machine.term,
            fields=fields,
            centred=recipe.centred,
            follow=centring.RATE,
            rule=optimiser.name,
            momentum=optimiser.momentum,
            beta1=optimiser.beta1,
            beta2=optimiser.beta2,
            epsilon=optimiser.epsilon,
            l1=tuple(recipe.l1.get(slot, 0.0) for slot in slots),
            l2=tuple(recipe.l2.get(slot, 0.0) for slot in slots),
            clip=recipe.clip,
            largest=LARGEST,
            samples=recipe.batch or problem.samples,
            chains=recipe.chains.chains,
        )
        data = problem.data[machine.visible]
        training = chains.kernels.training(chains.inner.launch, data, climb)
        if training is None:
            return None
        shapes = {slot: problem.params.arrays[slot].shape[1:] for slot in slots}
        return cls(machine, training, chains, shapes)

    def load(self, arrays: Arrays, previous: Arrays, moments: Arrays, offsets: Arrays) -> None:
        """Hand over the host's, by the names of `Fetched`."""
        given = {}
        for part, slot in self._slots.items():
            given[f"now/{part}"], given[f"previous/{part}"] = arrays[slot], previous[slot]
            given |= {
                f"{moment}/{part}": moments[f"{moment}/{slot}"]
                for moment in MOMENTS["adam"]
                if f"{moment}/{slot}" in moments
            }
        for part, group in self._groups.items():
            if group in offsets:
                given[f"offset/{part}"] = offsets[group]
        self._training.load(given)
        self.current, self.ahead = True, False

    @property
    def at_once(self) -> int:
        """Updates that one call of `updates` should make."""
        return self._training.at_once if self._sweeps else 1

    @property
    def _sweeps(self) -> bool:
        """Whether kernels can do all that is done between two updates."""
        return isinstance(self._training, Sweeping) and self.chains.options.method == "pcd"

    def updates(self, rows: list[np.ndarray | None], rates: np.ndarray, number: int) -> list[Told]:
        """Sweeps of the chains and a step uphill for every rate, up to the first that is refused."""
        self.ahead = True
        if not self._sweeps:
            return [self._update(rows[0], rates[0], number)]
        state, steps = self.chains.state, self.chains.options.steps
        chosen = None if rows[0] is None else np.stack(rows)
        told = self._training.updates(
            state.configurations, state.lanes, chosen, rates, number, state.sweep, steps
        )
        state.sweep += steps * len(told)
        return told

    def _update(self, rows: np.ndarray | None, rate: float, number: int) -> Told:
        self.chains.move(number, {})
        tempered = self.chains.options.method == "pt"
        lanes = self.chains.at_target() if tempered else None
        return self._training.update(self.chains.state.configurations, lanes, rows, rate, number)

    def fetch(self) -> Fetched:
        """The present arrays for the host."""
        found = self._training.fetch()
        self.ahead = False
        moments = {
            f"{moment}/{slot}": found[f"{moment}/{part}"].reshape(self._shapes[slot])
            for part, slot in self._slots.items()
            for moment in MOMENTS["adam"]
            if f"{moment}/{part}" in found
        }
        offsets = {
            group: found[f"offset/{part}"].reshape(-1, 1)
            for part, group in self._groups.items()
            if f"offset/{part}" in found
        }
        return Fetched(self._shaped(found, "now/"), self._shaped(found, "previous/"), moments, offsets)

    def tried(self) -> Arrays:
        """The arrays of a step that was refused."""
        return self._shaped(self._training.tried(), "")

    def _shaped(self, found: Mapping[str, np.ndarray], prefix: str) -> Arrays:
        return {s: found[f"{prefix}{part}"].reshape(self._shapes[s]) for part, s in self._slots.items()}
