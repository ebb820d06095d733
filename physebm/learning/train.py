"""The training loop: parameters move uphill in the log-likelihood (or pseudo-likelihood) of data.

One update: a minibatch, the data phase (visible units from the data, hidden ones integrated through
Gamma), the model phase (chains, enumeration, none), the difference of their statistics, penalties,
clipping, the optimiser's step (gradient and step within the gauge), projection. Variances move in
log v: they stay positive.
A `Trainer` knows no disk and no clock; everything that continues it bit for bit is in `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from physebm.backends.base import Backend
from physebm.data.minibatch import minibatch
from physebm.errors import StudyError
from physebm.free_energy import exact
from physebm.free_energy.meanfield import mean_field_posterior
from physebm.learning import centring
from physebm.learning.chains import Chains
from physebm.learning.clamped import Clamped
from physebm.learning.gauge import fix_gauge, within_gauge
from physebm.learning.initial_fields import data_fields
from physebm.learning.inversion import invert
from physebm.learning.optimisers import clipped, penalised
from physebm.learning.projection import Projection
from physebm.learning.pseudolikelihood import pseudo_likelihood
from physebm.learning.recipe import INVERSIONS, Problem, Recipe
from physebm.learning.trainable import trained_slots, variance_slots
from physebm.model.conditionals import Conditionals
from physebm.model.params import Params
from physebm.model.roles import factorises, hidden_groups
from physebm.model.statistics import Averages, Moments, RowAverages, feature_means, statistics
from physebm.native.products import single_threaded_blas
from physebm.rng.streams import key_of

# A parameter beyond this has left every model that a data set could ask for.
LARGEST = 1e6


class Divergence(StudyError):
    """Training left the finite numbers; the last good parameters are kept by whoever recorded them."""


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
    params
        The present arrays, one instance, float64 for trained slots.
    previous
        The arrays before the last update.
    update
        Updates done.
    projected
        Updates after which couplings of continuous units had to be moved back.
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
        self.hidden = hidden_groups(hamiltonian)
        self.flat = factorises(hamiltonian, self.hidden)
        self._weighted = bool(np.ptp(problem.weights) > 0.0)
        start = {slot: problem.params.arrays[slot].astype(np.float64) for slot in self.slots}
        if recipe.initial_fields == "data":
            start |= {slot: h[None] for slot, h in data_fields(problem).items()}
        self.params = self.previous = problem.params.with_arrays(**start)
        self.update = 0
        self.projected = 0
        self.info = UpdateInfo()
        self.optimiser_state = recipe.optimiser.start({s: self.params.arrays[s][0] for s in self.slots})
        self.offsets: dict[str, np.ndarray] = {}
        self._minibatch_key = key_of(seed, "minibatch", *name)
        self._projection = Projection(hamiltonian, problem.coefficients, self.slots)
        self._summed = exact.summed_out(hamiltonian)
        self._data_statistics: dict[str, np.ndarray] | None = None
        self.chains: Chains | None = None
        self.clamped: Clamped | None = None
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
            if not self.flat and recipe.positive == "sampled":
                steps = recipe.positive_steps
                self.clamped = Clamped(self.chains, problem.samples, steps, seed, name)
        if recipe.centred:
            self.offsets = {
                group: feature_means(hamiltonian, group, x, problem.weights)
                for group, x in problem.data.items()
            }

    def conditionals(self, params: Params | None = None) -> Conditionals:
        """Fields and moments at the present arrays (or others), in the recipe's precision."""
        problem = self.problem
        held = self.params if params is None else params
        return Conditionals(problem.hamiltonian, problem.row, held, self.recipe.precision)

    def run(self, until: int) -> None:
        """Go on to update number `until`.

        Raises
        ------
        Divergence
            where a parameter or the gradient is no longer finite; the state is that before the update.
        """
        with single_threaded_blas():
            while self.update < until:
                self._advance()

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
        self._check_finite(params, number)
        self.previous, self.params = self.params, params
        self.projected += moved
        self.update = number
        if self.chains is not None:
            self.chains.follow(params)

    def _enter_gauge(self) -> None:
        """Go to the arrays of the recipe's gauge that have the same distribution."""
        held = {slot: self.params.arrays[slot][0] for slot in self.slots}
        hamiltonian, row, gauge = self.problem.hamiltonian, self.problem.row, self.recipe.gauge
        fixed = fix_gauge(hamiltonian, held, row, gauge, self.params.edges)
        self.params = self.params.with_arrays(**{slot: x[None] for slot, x in fixed.items()})

    def _climbed(self, number: int) -> dict[str, np.ndarray]:
        """The arrays after one step of the optimiser."""
        recipe, arrays = self.recipe, {slot: self.params.arrays[slot][0] for slot in self.slots}
        conditionals = self.conditionals()
        gradient = self._gradient(conditionals, number)
        for slot in self.positive:
            gradient[slot] = gradient[slot] * arrays[slot]
        gradient = self._penalised(gradient, arrays, conditionals)
        gradient = self._along_gauge(gradient, conditionals)
        self.info.gradient_norm = float(np.sqrt(sum(float(np.vdot(g, g)) for g in gradient.values())))
        self.info.rate = recipe.rate.rate(number, recipe.updates)
        gradient = clipped(gradient, recipe.clip)
        steps = recipe.optimiser.step(self.optimiser_state, gradient, self.info.rate, number)
        if recipe.centred:
            steps = centring.uncentred(self._nearest(steps), conditionals, self.offsets)
        moved = {
            slot: x * np.exp(steps[slot]) if slot in self.positive else x + steps[slot]
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
        back = {group: -offset for group, offset in self.offsets.items()}
        plain = self._nearest(centring.centred(gradient, conditionals, back))
        return self._nearest(centring.centred(plain, conditionals, self.offsets))

    def _gradient(self, conditionals: Conditionals, number: int) -> dict[str, np.ndarray]:
        """Data statistics minus model statistics, by slot."""
        problem, recipe = self.problem, self.recipe
        rows = self.rows(number)
        weights = problem.weights if rows is None else problem.weights[rows]
        # sum_batch w_i grad log p(v_i), times n / batch: its mean is the gradient of all data only
        # if a batch of heavy samples counts for more
        share = 1.0
        if rows is not None and self._weighted:
            share = weights.sum() * problem.samples / len(rows)
        weights = weights / weights.sum()
        batch = problem.data if rows is None else problem.batch(rows)
        if recipe.method == "pseudo-likelihood":
            self.info.objective, averages = pseudo_likelihood(conditionals, batch, weights)
            return {slot: share * g for slot, g in self._statistics(averages).items()}
        data = self._data_phase(conditionals, number, rows, batch, weights)
        model = self._statistics(self._model_phase(conditionals, number, batch, weights))
        gradient = {slot: data[slot] - model[slot] for slot in self.slots}
        return gradient if share == 1.0 else {slot: share * g for slot, g in gradient.items()}

    def _penalised(self, gradient, arrays, conditionals: Conditionals) -> dict[str, np.ndarray]:
        """With the gradient of the penalties, in the variables that are climbed."""
        l1, l2 = self.recipe.l1, self.recipe.l2
        if not self.recipe.centred or not (l1 or l2):
            return penalised(gradient, arrays, l1, l2)
        zero = {slot: np.zeros_like(g) for slot, g in gradient.items()}
        penalty = centring.centred(penalised(zero, arrays, l1, l2), conditionals, self.offsets)
        return {slot: g + penalty[slot] for slot, g in gradient.items()}

    def rows(self, number: int) -> np.ndarray | None:
        """The samples of an update; None for all."""
        if self.recipe.batch is None or self.recipe.batch == self.problem.samples:
            return None
        return minibatch(self._minibatch_key, number - 1, self.recipe.batch, self.problem.samples)

    def _statistics(self, averages: Averages) -> dict[str, np.ndarray]:
        hamiltonian = self.problem.hamiltonian
        if self.recipe.centred:
            averages = centring.CentredAverages(averages, hamiltonian, self.offsets)
        return statistics(hamiltonian, self.params, averages, self.problem.row, self.slots)

    def _data_phase(self, conditionals, number, rows, batch, weights) -> dict[str, np.ndarray]:
        if self._data_statistics is not None:
            return self._data_statistics
        averages = self.data_averages(conditionals, batch, weights, rows, number)
        if self.recipe.centred:
            for group in self.hidden:
                now = averages.mean(group)
                old = self.offsets.get(group, now)
                self.offsets[group] = old + centring.RATE * (now - old)
        found = self._statistics(averages)
        # without hidden units the phase of all data depends on nothing that moves, but for patterns
        if not self.hidden and rows is None and not self._patterns and not self.positive:
            self._data_statistics = found
        return found

    @property
    def _patterns(self) -> bool:
        """Whether a trained array enters its own statistic."""
        terms = self.problem.hamiltonian.terms
        return any(getattr(term, "xi", None) in self.slots for term in terms)

    def data_averages(
        self, conditionals: Conditionals, batch, weights, rows=None, number: int = 0
    ) -> RowAverages:
        """Averages over data with the hidden units integrated (deep: by mean field, or sampled)."""
        hamiltonian = self.problem.hamiltonian
        if self.clamped is not None and number:
            chosen = np.arange(self.problem.samples) if rows is None else rows
            states = self.clamped.advance(number, chosen, batch)
            return RowAverages(hamiltonian, conditionals.states(states), weights)
        return RowAverages(hamiltonian, self.with_hidden(conditionals, batch), weights)

    def with_hidden(self, conditionals: Conditionals, visible) -> dict[str, Moments]:
        """Moments of all groups given the visible ones: exact where they factorise, else mean field."""
        known = conditionals.states(visible)
        if self.flat:
            return known | {
                group: conditionals.moments(group, conditionals.field(group, known))
                for group in self.hidden
            }
        found = mean_field_posterior(conditionals, known, self.hidden)
        return known | dict(found.moments)

    def _model_phase(self, conditionals: Conditionals, number: int, batch, weights) -> Averages:
        problem = self.problem
        if self.chains is None:
            return exact.exact_averages(self._summed, self.params, problem.coefficients)
        states = self.chains.advance(number, batch)
        moments = self.chain_moments(conditionals, states)
        return RowAverages(problem.hamiltonian, moments, self._chain_weights(weights))

    def _chain_weights(self, weights: np.ndarray) -> np.ndarray | None:
        """In CD the chains of a sample share its weight; otherwise all count alike (None)."""
        if self.recipe.method != "cd":
            return None
        start = np.arange(self.recipe.chains.chains) % len(weights)
        of_chains = weights[start] / np.bincount(start)[start]
        return None if np.ptp(of_chains) == 0 else of_chains / of_chains.sum()

    def chain_moments(self, conditionals: Conditionals, states: Mapping[str, np.ndarray]):
        """Moments of the chains: hidden units by their conditional means where they factorise."""
        if not self.flat:
            return conditionals.states(states)
        return self.with_hidden(conditionals, {name: states[name] for name in self.problem.data})

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

    def _check_finite(self, params: Params, number: int) -> None:
        for slot in self.slots:
            x = params.arrays[slot]
            largest = max(x.max(initial=0.0), -x.min(initial=0.0))
            if not largest <= LARGEST:
                raise Divergence(
                    f"training diverged at update {number}: array '{slot}' reached {largest:.3g} "
                    f"(gradient norm {self.info.gradient_norm:.3g}); the snapshots up to update "
                    f"{self.update} are kept. Lower train.learning_rate, or set train.clip"
                )

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that continues the training with the same bits."""
        arrays = {f"params/{slot}": self.params.arrays[slot] for slot in self.slots}
        arrays |= {f"previous/{slot}": self.previous.arrays[slot] for slot in self.slots}
        arrays |= {f"optimiser/{name}": x for name, x in self.optimiser_state.items()}
        arrays |= {f"offsets/{group}": x for group, x in self.offsets.items()}
        arrays |= {"update": np.int64(self.update), "projected": np.int64(self.projected)}
        arrays |= {f"info/{name}": np.array(value) for name, value in asdict(self.info).items()}
        if self.chains is not None:
            arrays |= {f"chains/{name}": x for name, x in self.chains.checkpoint().items()}
        if self.clamped is not None:
            arrays |= {f"clamped/{group}": x for group, x in self.clamped.hidden.items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `checkpoint`."""

        def part(prefix: str) -> dict[str, np.ndarray]:
            return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

        self.params = self.params.with_arrays(**part("params/"))
        self.previous = self.previous.with_arrays(**part("previous/"))
        for name, x in part("optimiser/").items():
            self.optimiser_state[name][...] = x
        self.offsets = dict(part("offsets/"))
        self.update, self.projected = int(arrays["update"]), int(arrays["projected"])
        self.info = UpdateInfo(**{name: value.item() for name, value in part("info/").items()})
        if self.chains is not None:
            self.chains.restore(part("chains/"))
            self.chains.follow(self.params)
        if self.clamped is not None:
            for group, x in part("clamped/").items():
                self.clamped.hidden[group][...] = x
