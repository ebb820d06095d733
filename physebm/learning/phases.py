"""The two phases of a gradient: statistics of the data minus statistics of the model, by slot.

In the data phase visible units stand at a minibatch and hidden ones are integrated through Gamma (deep
machines: by mean field, or sampled); in the model phase all come from chains, or from an enumeration.
With centred gradients both are taken about the same offsets, which follow the data phase.

Where hidden units factorise, samples and chains differ in nothing but their weight: the difference of
the two averages is one average over both, in which chains count negative.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.data.minibatch import minibatch
from physebm.free_energy import exact
from physebm.free_energy.meanfield import mean_field_posterior
from physebm.learning import centring
from physebm.learning.chains import Chains
from physebm.learning.clamped import Clamped
from physebm.learning.machine import TwoStateMachine
from physebm.learning.pseudolikelihood import pseudo_likelihood
from physebm.learning.recipe import Problem, Recipe
from physebm.learning.trainable import variance_slots
from physebm.model.conditionals import Conditionals
from physebm.model.roles import factorises, hidden_groups
from physebm.model.statistics import Averages, Moments, RowAverages, feature_means, statistics
from physebm.rng.streams import key_of


class Phases:
    """Where the gradient of a recipe comes from; `Conditionals` bring the present arrays.

    Parameters
    ----------
    slots
        Trained arrays.
    chains
        Those of the model phase; None where the recipe has none.
    seed, name
        What all random words are addressed by.

    Attributes
    ----------
    hidden, flat
        Hidden groups, and whether they factorise given the visible ones.
    offsets
        What centred gradients are taken about, by group.
    clamped
        Chains of the data phase, None where nothing is sampled there.
    machine
        The short way of machines that have one, see `physebm.learning.machine`; None for others.
    """

    def __init__(
        self,
        problem: Problem,
        recipe: Recipe,
        slots: tuple[str, ...],
        chains: Chains | None,
        seed: int,
        name: tuple[object, ...],
    ):
        self.problem, self.recipe, self.slots, self.chains = problem, recipe, slots, chains
        hamiltonian = problem.hamiltonian
        self.hidden = hidden_groups(hamiltonian)
        self.flat = factorises(hamiltonian, self.hidden)
        self.clamped: Clamped | None = None
        if chains is not None and not self.flat and recipe.positive == "sampled":
            self.clamped = Clamped(chains, problem.samples, recipe.positive_steps, seed, name)
        self.offsets: dict[str, np.ndarray] = {}
        if recipe.centred:
            self.offsets = {
                group: feature_means(hamiltonian, group, x, problem.weights)
                for group, x in problem.data.items()
            }
        self.machine = TwoStateMachine.of(problem, recipe, slots, chains)
        self._minibatch_key = key_of(seed, "minibatch", *name)
        self._summed = exact.summed_out(hamiltonian)
        self._weighted = bool(np.ptp(problem.weights) > 0.0)
        self._data_statistics: dict[str, np.ndarray] | None = None

    def rows(self, number: int) -> np.ndarray | None:
        """The samples of an update; None for all."""
        if self.recipe.batch is None or self.recipe.batch == self.problem.samples:
            return None
        return minibatch(self._minibatch_key, number - 1, self.recipe.batch, self.problem.samples)

    def gradient(
        self, conditionals: Conditionals, number: int
    ) -> tuple[dict[str, np.ndarray], float | None]:
        """Data statistics minus model statistics of an update, and the objective where it is known."""
        problem, recipe = self.problem, self.recipe
        rows = self.rows(number)
        if self.machine is not None:
            return self._of_machine(conditionals, number, rows), None
        weights = problem.weights if rows is None else problem.weights[rows]
        # sum_batch w_i grad log p(v_i), times n / batch: its mean is the gradient of all data only
        # if a batch of heavy samples counts for more
        share = 1.0
        if rows is not None and self._weighted:
            share = weights.sum() * problem.samples / len(rows)
        weights = weights / weights.sum()
        batch = problem.data if rows is None else problem.batch(rows)
        if recipe.method == "pseudo-likelihood":
            objective, averages = pseudo_likelihood(conditionals, batch, weights)
            found = self._statistics(conditionals, averages)
            return {slot: share * g for slot, g in found.items()}, objective
        if self.chains is not None and self.hidden and self.flat:
            gradient = self._both_phases(conditionals, number, batch, weights)
        else:
            data = self._data_phase(conditionals, number, rows, batch, weights)
            averages = self._model_phase(conditionals, number, batch, weights)
            model = self._statistics(conditionals, averages)
            gradient = {slot: data[slot] - model[slot] for slot in self.slots}
        if share != 1.0:
            gradient = {slot: share * g for slot, g in gradient.items()}
        return gradient, None

    def _of_machine(self, conditionals: Conditionals, number: int, rows) -> dict[str, np.ndarray]:
        visible = self.machine.visible
        states = self.chains.advance(number, {})[visible]
        data = self.problem.data[visible]
        return self.machine.gradient(conditionals, data, rows, states, self.offsets)

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

    def chain_moments(self, conditionals: Conditionals, states: Mapping[str, np.ndarray]):
        """Moments of the chains: hidden units by their conditional means where they factorise."""
        if not self.flat:
            return conditionals.states(states)
        return self.with_hidden(conditionals, {name: states[name] for name in self.problem.data})

    def _statistics(self, conditionals: Conditionals, averages: Averages) -> dict[str, np.ndarray]:
        hamiltonian = self.problem.hamiltonian
        if self.recipe.centred:
            averages = centring.CentredAverages(averages, hamiltonian, self.offsets)
        return statistics(hamiltonian, conditionals.params, averages, self.problem.row, self.slots)

    def _both_phases(self, conditionals, number: int, batch, weights) -> dict[str, np.ndarray]:
        """Data statistics minus model statistics: samples and chains as rows of one average."""
        hamiltonian, samples = self.problem.hamiltonian, len(weights)
        states = self.chains.advance(number, batch)
        of_chains = self._chain_weights(weights)
        if of_chains is None:
            chains = len(next(iter(states.values())))
            of_chains = np.full(chains, 1.0 / chains)
        rows = {name: np.concatenate([x, states[name]]) for name, x in batch.items()}
        moments = self.with_hidden(conditionals, rows)
        if self.recipe.centred:
            known = {group: moments[group].of_rows(slice(samples)) for group in self.hidden}
            self._follow(RowAverages(hamiltonian, known, weights))
        signed = np.concatenate([weights, -of_chains])
        return self._statistics(conditionals, RowAverages(hamiltonian, moments, signed))

    def _follow(self, data: Averages) -> None:
        """Move the hidden groups' offsets towards their means in a data phase."""
        for group in self.hidden:
            now = data.mean(group)
            old = self.offsets.get(group, now)
            self.offsets[group] = old + centring.RATE * (now - old)

    def _data_phase(self, conditionals, number, rows, batch, weights) -> dict[str, np.ndarray]:
        if self._data_statistics is not None:
            return self._data_statistics
        averages = self._data_averages(conditionals, number, rows, batch, weights)
        if self.recipe.centred:
            self._follow(averages)
        found = self._statistics(conditionals, averages)
        # without hidden units the phase of all data depends on nothing that moves, but for patterns
        moving = self.hidden or self._patterns or variance_slots(self.problem.hamiltonian)
        if rows is None and not moving:
            self._data_statistics = found
        return found

    @property
    def _patterns(self) -> bool:
        """Whether a trained array enters its own statistic."""
        terms = self.problem.hamiltonian.terms
        return any(getattr(term, "xi", None) in self.slots for term in terms)

    def _data_averages(self, conditionals, number: int, rows, batch, weights) -> RowAverages:
        """Averages over data with the hidden units integrated (deep: by mean field, or sampled)."""
        hamiltonian = self.problem.hamiltonian
        if self.clamped is not None:
            chosen = np.arange(self.problem.samples) if rows is None else rows
            states = self.clamped.advance(number, chosen, batch)
            return RowAverages(hamiltonian, conditionals.states(states), weights)
        return RowAverages(hamiltonian, self.with_hidden(conditionals, batch), weights)

    def _model_phase(self, conditionals: Conditionals, number: int, batch, weights) -> Averages:
        problem = self.problem
        if self.chains is None:
            return exact.exact_averages(self._summed, conditionals.params, problem.coefficients)
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
