"""The training loop: parameters move uphill in the log-likelihood (or pseudo-likelihood) of data.

One update: a minibatch and the difference of its statistics and the model's (`phases`), penalties,
clipping, the optimiser's step (gradient and step within the gauge), projection. Variances move in
log v: they stay positive.
A `Trainer` knows no disk and no clock; everything that continues it bit for bit is in `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from physebm.backends.base import Backend
from physebm.learning import centring
from physebm.learning.chains import Chains
from physebm.learning.device_machine import DeviceMachine
from physebm.learning.divergence import Divergence, check_finite
from physebm.learning.gauge import fix_gauge, within_gauge
from physebm.learning.initial_fields import data_fields
from physebm.learning.inversion import invert
from physebm.learning.optimisers import clipped, penalised
from physebm.learning.phases import Phases
from physebm.learning.projection import Projection
from physebm.learning.recipe import INVERSIONS, Problem, Recipe
from physebm.learning.trainable import trained_slots, variance_slots
from physebm.model.conditionals import Conditionals
from physebm.model.params import Params
from physebm.model.statistics import RowAverages
from physebm.native.products import single_threaded_blas

__all__ = ["Divergence", "Trainer", "UpdateInfo"]


@dataclass
class UpdateInfo:
    """What the last update did: rate, gradient norm before clipping, the objective where known.

    `unsolved` counts the pairs of an inversion that have no real solution.
    """

    rate: float = 0.0
    gradient_norm: float = 0.0
    objective: float = float("nan")
    unsolved: int = 0


class Trainer:
    """A problem that is being solved by a recipe.

    Parameters
    ----------
    seed, name
        What all random words are addressed by.

    Attributes
    ----------
    update
        Updates done.
    projected
        Updates after which couplings of continuous units had to be moved back.
    chains
        Those of the model phase, None where it needs none.
    phases
        Where its gradients come from.
    """

    def __init__(
        self,
        problem: Problem,
        recipe: Recipe,
        backend: Backend,
        seed: int,
        name: tuple[object, ...] = (),
    ):
        self.problem, self.recipe = problem, recipe
        hamiltonian = problem.hamiltonian
        self.slots = trained_slots(hamiltonian)
        self.positive = variance_slots(hamiltonian)
        start = {slot: problem.params.arrays[slot].astype(np.float64) for slot in self.slots}
        if recipe.initial_fields == "data":
            start |= {slot: h[None] for slot, h in data_fields(problem).items()}
        self._device: DeviceMachine | None = None
        self._params = self._previous = problem.params.with_arrays(**start)
        self.update = 0
        self.projected = 0
        self.info = UpdateInfo()
        self.optimiser_state = recipe.optimiser.start({s: self.params.arrays[s][0] for s in self.slots})
        self._projection = Projection(hamiltonian, problem.coefficients, self.slots)
        self.chains: Chains | None = None
        if recipe.sampled:
            self.chains = Chains(
                hamiltonian,
                self.params,
                problem.coefficients,
                self.slots,
                recipe.chains,
                backend,
                seed,
                name,
            )
            if recipe.method in ("pcd", "pt"):
                with single_threaded_blas():
                    self.chains.begin(problem.data if recipe.chains.start == "data" else None)
        self.phases = Phases(problem, recipe, self.slots, self.chains, seed, name)
        self._device = DeviceMachine.of(self.phases.machine, problem, recipe, self.chains)

    @property
    def params(self) -> Params:
        """The present arrays, one instance, float64 for trained slots."""
        self._catch_up()
        return self._params

    @property
    def previous(self) -> Params:
        """The arrays before the last update."""
        self._catch_up()
        return self._previous

    def _catch_up(self) -> None:
        """Take over what a device has done since the host's arrays were current."""
        if self._device is None or not self._device.ahead:
            return
        found = self._device.fetch()
        self._params, self._previous = (
            self._params.with_arrays(**{slot: x[None] for slot, x in arrays.items()})
            for arrays in (found.arrays, found.previous)
        )
        for name, x in found.moments.items():
            self.optimiser_state[name][...] = x
        self.phases.offsets = found.offsets
        self.chains.follow(self._params)

    def _replace(self, previous: Params, params: Params) -> None:
        """Other arrays than a device may have."""
        self._previous, self._params = previous, params
        if self._device is not None:
            self._device.current = False

    def conditionals(self, params: Params | None = None, operators=None) -> Conditionals:
        """Fields and moments at the present arrays (or others), in the recipe's precision."""
        problem = self.problem
        held = self.params if params is None else params
        return Conditionals(problem.hamiltonian, problem.row, held, self.recipe.precision, operators)

    def run(self, until: int) -> None:
        """Go on to update number `until`.

        Raises
        ------
        Divergence
            where a parameter or the gradient is no longer finite: `params` and `previous` are those
            before that update, chains, offsets and the optimiser's moments those that led to it.
        """
        with single_threaded_blas():
            while self.update < until:
                if self._on_device:
                    self._advance_on_device(min(until - self.update, self._device.at_once))
                else:
                    self._advance()

    @property
    def at_once(self) -> int:
        """Updates that one call of kernels makes: a loop around `run` had better ask for as many."""
        return self._device.at_once if self._on_device else 1

    @property
    def _on_device(self) -> bool:
        return self._device is not None and self.phases.machine is not None

    def _advance(self) -> None:
        number = self.update + 1
        if self.recipe.method in INVERSIONS:
            arrays = self._inverted()
        else:
            if number == 1 and self.recipe.gauge != "none":
                self._enter_gauge()
            arrays = self._climbed(number)
        params = self.params.with_arrays(**{slot: x[None] for slot, x in arrays.items()})
        params, moved = self._projection.apply(params)
        held = {slot: params.arrays[slot] for slot in self.slots}
        check_finite(held, number, self.info.gradient_norm)
        self._replace(self.params, params)
        self.projected += moved
        self.update = number
        if self.chains is not None:
            self.chains.follow(params)

    def _advance_on_device(self, updates: int) -> None:
        device, first = self._device, self.update + 1
        if not device.current:
            held = ({s: x.arrays[s][0] for s in self.slots} for x in (self._params, self._previous))
            device.load(*held, self.optimiser_state, self.phases.offsets)
        numbers = range(first, first + updates)
        rates = np.array([self.recipe.rate.rate(number, self.recipe.updates) for number in numbers])
        told = device.updates([self.phases.rows(number) for number in numbers], rates, first)
        last = told[-1]
        self.info.rate, self.info.gradient_norm = float(rates[len(told) - 1]), last.gradient_norm
        self.update += len(told) - bool(last.beyond)
        if last.beyond:
            self._catch_up()  # sweeps read what the refused step has left, until `follow`
            check_finite(device.tried(), self.update + 1, last.gradient_norm)

    def _enter_gauge(self) -> None:
        """Go to the arrays of the recipe's gauge that have the same distribution."""
        held = {slot: self.params.arrays[slot][0] for slot in self.slots}
        hamiltonian, row, gauge = self.problem.hamiltonian, self.problem.row, self.recipe.gauge
        fixed = fix_gauge(hamiltonian, held, row, gauge, self.params.edges)
        entered = self.params.with_arrays(**{slot: x[None] for slot, x in fixed.items()})
        self._replace(self.previous, entered)

    def _climbed(self, number: int) -> dict[str, np.ndarray]:
        """The arrays after one step of the optimiser."""
        from physebm.native import ascent

        recipe, arrays = self.recipe, {slot: self.params.arrays[slot][0] for slot in self.slots}
        # from the second update on the chains hold the couplings of these very arrays
        held = self.chains.couplings() if self.chains is not None and number > 1 else None
        conditionals = self.conditionals(operators=held)
        gradient, objective = self.phases.gradient(conditionals, number)
        if objective is not None:
            self.info.objective = objective
        for slot in self.positive:
            gradient[slot] = gradient[slot] * arrays[slot]
        gradient = self._penalised(gradient, arrays, conditionals)
        gradient = self._along_gauge(gradient, conditionals)
        self.info.gradient_norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in gradient.values())))
        self.info.rate = recipe.rate.rate(number, recipe.updates)
        gradient = clipped(gradient, recipe.clip)
        found, rate = recipe.optimiser.step(self.optimiser_state, gradient, self.info.rate, number)
        if self.phases.machine is not None:
            return self.phases.machine.climbed(arrays, found, rate, self.phases.offsets)
        if recipe.centred:
            found = centring.uncentred(self._nearest(found), conditionals, self.phases.offsets)
        moved = {
            slot: x * np.exp(rate * found[slot])
            if slot in self.positive
            else ascent.moved(x, found[slot], rate)
            for slot, x in arrays.items()
        }
        # Adam's steps leave the gauge, rounding all others
        return self._nearest(moved)

    def _nearest(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Arrays or their changes projected onto the recipe's gauge."""
        gauge = self.recipe.gauge
        return arrays if gauge == "none" else within_gauge(self.problem.hamiltonian, arrays, gauge)

    def _along_gauge(self, gradient, conditionals: Conditionals) -> dict[str, np.ndarray]:
        """The gradient along the gauge, in the variables that are climbed.

        It is projected as a gradient in (J, h), so that it vanishes where that projection does (offsets
        of couplings without a gauge lead out of it), and again in (J, h~), so that what the optimiser
        remembers is in the gauge too.
        """
        if self.recipe.gauge == "none" or not self.recipe.centred:
            return self._nearest(gradient)
        back = {group: -offset for group, offset in self.phases.offsets.items()}
        plain = self._nearest(centring.centred(gradient, conditionals, back))
        return self._nearest(centring.centred(plain, conditionals, self.phases.offsets))

    def _penalised(self, gradient, arrays, conditionals: Conditionals) -> dict[str, np.ndarray]:
        """With the gradient of the penalties, in the variables that are climbed."""
        l1, l2 = self.recipe.l1, self.recipe.l2
        if not self.recipe.centred or not (l1 or l2):
            return penalised(gradient, arrays, l1, l2)
        zero = {slot: np.zeros_like(g) for slot, g in gradient.items()}
        penalty = centring.centred(penalised(zero, arrays, l1, l2), conditionals, self.phases.offsets)
        return {slot: g + penalty[slot] for slot, g in gradient.items()}

    def _inverted(self) -> dict[str, np.ndarray]:
        problem = self.problem
        known = self.conditionals().states(problem.data)
        averages = RowAverages(problem.hamiltonian, known, problem.weights)
        found = invert(
            problem.hamiltonian,
            problem.row,
            averages,
            INVERSIONS[self.recipe.method],
            self.recipe.pseudocount,
        )
        self.info.unsolved = found.unsolved
        return found.arrays

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that continues the training with the same bits."""
        self._catch_up()
        arrays = {f"params/{slot}": self.params.arrays[slot] for slot in self.slots}
        arrays |= {f"previous/{slot}": self.previous.arrays[slot] for slot in self.slots}
        arrays |= {f"optimiser/{name}": x for name, x in self.optimiser_state.items()}
        arrays |= {f"offsets/{group}": x for group, x in self.phases.offsets.items()}
        arrays |= {"update": np.int64(self.update), "projected": np.int64(self.projected)}
        arrays |= {f"info/{name}": np.array(value) for name, value in asdict(self.info).items()}
        if self.chains is not None:
            arrays |= {f"chains/{name}": x for name, x in self.chains.checkpoint().items()}
        if self.phases.clamped is not None:
            arrays |= {f"clamped/{group}": x for group, x in self.phases.clamped.hidden.items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `checkpoint`."""

        def part(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        params = self.params.with_arrays(**part("params/"))
        self._replace(params.with_arrays(**part("previous/")), params)
        for name, x in part("optimiser/").items():
            self.optimiser_state[name][...] = x
        self.phases.offsets = dict(part("offsets/"))
        self.update, self.projected = int(arrays["update"]), int(arrays["projected"])
        self.info = UpdateInfo(**{name: value.item() for name, value in part("info/").items()})
        if self.chains is not None:
            self.chains.restore(part("chains/"))
            self.chains.follow(self.params)
        if self.phases.clamped is not None:
            for group, x in part("clamped/").items():
                self.phases.clamped.hidden[group][...] = x
