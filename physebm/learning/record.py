"""What is recorded of a training at one age: spectra, moments, scores, chains, and how the climb goes.

Everything is a function of the trainer's state, the data and the seed: the same bits on any number of
threads, in an uninterrupted and in a resumed training. The trainer is read and never changed. All names
and their definitions stand in `storage.training`; which of them there are depends on model and method,
not on the age.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from physebm.data.permutation import permutation
from physebm.free_energy.exact import ExactAverages, exact_averages, log_states, summed_out
from physebm.free_energy.likelihood import BITS, log_likelihood, log_partition, visible_potential
from physebm.learning.fall import data_score, refuse_fall
from physebm.learning.pseudo_score import pseudo_log_likelihood, scorable
from physebm.learning.recipe import INVERSIONS
from physebm.learning.record_chains import ChainRecord
from physebm.learning.record_moments import MomentRecord
from physebm.learning.record_weights import measure_weights, weight_matrices
from physebm.learning.train import Trainer
from physebm.model.conditionals import Conditionals
from physebm.model.params import Params
from physebm.model.statistics import RowAverages
from physebm.model.units import UnitKind
from physebm.native.products import single_threaded_blas
from physebm.observables.spectra import participation_ratio
from physebm.rng.streams import key_of
from physebm.theory.enumeration import Exact

Part = tuple[Mapping[str, np.ndarray], np.ndarray]

ROWS = 2000  # of data, for energies, hidden units and overlaps
CUBED = 3.0  # power of the participation ratio of hidden activities


class Record:
    """What a training is measured by, made ready once.

    Parameters
    ----------
    trainer
        Read at every `measure`.
    parts
        ``{"train" | "validation" | "test": ({visible group: x[sample, unit]}, weights[sample])}``,
        weights with sum 1.
    seed
        Of the choice of rows, pairs and triplets, and of the frozen runs.
    tau_sweeps
        Length of the frozen run that measures the autocorrelation time, in sweeps; below 3 for none.
    effective_samples
        Number of independent samples among the training data, where that is known better than by their
        weights (similar sequences, correlated states of a teacher): what the noise of their moments is.
    """

    def __init__(
        self,
        trainer: Trainer,
        parts: Mapping[str, Part],
        seed: int,
        tau_sweeps: int = 0,
        effective_samples: float | None = None,
    ):
        self.trainer, self.parts, self.seed = trainer, dict(parts), seed
        hamiltonian = trainer.problem.hamiltonian
        data, weights = self.parts["train"]
        with single_threaded_blas():
            self.moments = MomentRecord(hamiltonian, data, weights, seed, effective_samples)
        self.weights = weight_matrices(hamiltonian, trainer.slots)
        rows = np.sort(permutation(key_of(seed, "record"), len(weights))[:ROWS])
        self.sample = {name: x[rows] for name, x in data.items()}
        self.sample_weights = weights[rows] / weights[rows].sum()
        self.chains = None
        if trainer.chains is not None:
            few = permutation(key_of(seed, "overlaps"), len(rows))
            compared = {name: x[few] for name, x in self.sample.items()}
            self.chains = ChainRecord(trainer, compared, seed, tau_sweeps)
        self._scored = scorable(hamiltonian)
        self._summed = summed_out(hamiltonian)
        self._listed = log_states(self._summed) <= BITS
        self._start, self._first = trainer.params, np.nan

    def measure(self) -> dict[str, np.ndarray]:
        """Everything at the trainer's present update, by the names of `storage.training`.

        Raises
        ------
        Divergence
            where the data have become far less probable than they were before the first update.
        """
        with single_threaded_blas():
            scores = self._scores(self.trainer.params)
            self._refuse_fall(scores)
            found = self._progress() | scores
            slots = None if self.chains is None else self.chains.slots()
            states = None if slots is None else self.chains.at_target(slots)
            exact = self._exact() if states is None else None
            model = None
            if states is not None:
                model = self.moments.of_chains(states)
            elif exact is not None:
                model = self.moments.of_exact(exact)
            if model is not None:
                match = self.moments.match(model)
                if states is not None and not self.trainer.update:
                    # chains that never ran: their spread is that of their starts, not the model's
                    match |= {name: np.nan for name in match if name.endswith("_noise")}
                found |= match
            spectra, modes = measure_weights(
                self.weights,
                self.trainer.params,
                self.trainer.slots,
                self.moments.components,
                self.moments.place,
                self.moments.data,
                model,
            )
            found |= spectra | self._hidden(states, exact) | self._data_energy()
            if self.chains is not None:
                sides = {w.name: w.side for w in self.weights if w.side is not None}
                vectors = {name: (side, modes[name].visible) for name, side in sides.items()}
                found |= self.chains.measure(slots, vectors)
        return {name: np.asarray(value) for name, value in found.items()}

    def _progress(self) -> dict[str, object]:
        trainer, info = self.trainer, self.trainer.info
        found: dict[str, object] = {"projected": np.int64(trainer.projected)}
        if trainer.recipe.method not in INVERSIONS:
            found |= {"gradient_norm": info.gradient_norm, "rate": info.rate}
        if trainer.recipe.method == "pseudo-likelihood":
            found["objective"] = info.objective
        return found

    def _exact(self) -> Exact | None:
        """The enumeration of a model without chains."""
        trainer = self.trainer
        if trainer.recipe.method != "exact" and (trainer.phases.hidden or not self._listed):
            return None
        averages = exact_averages(self._summed, trainer.params, trainer.problem.coefficients)
        return averages.exact

    def _double(self, params: Params | None = None) -> Conditionals:
        problem = self.trainer.problem
        held = self.trainer.params if params is None else params
        return Conditionals(problem.hamiltonian, problem.row, held, np.float64)

    def _scores(self, params: Params) -> dict[str, object]:
        return self._likelihoods(params) | self._pseudo_likelihoods(params)

    def _refuse_fall(self, scores: Mapping[str, object]) -> None:
        """Compare with the start; after a resumption that is evaluated again. Inversions have none."""
        trainer = self.trainer
        if trainer.recipe.method in INVERSIONS:
            return
        score = data_score(scores)
        if not trainer.update:
            self._first = score
        elif np.isfinite(score) and np.isnan(self._first):
            self._first = data_score(self._scores(self._start))
        refuse_fall(score, self._first, self.moments.units, trainer.update)

    def _likelihoods(self, params: Params) -> dict[str, object]:
        trainer = self.trainer
        if not self._listed:
            return {}
        log_z = log_partition(trainer.problem.hamiltonian, params, trainer.problem.coefficients)
        if log_z is None:
            return {}
        name = "log_likelihood" if trainer.phases.flat else "log_likelihood_bound"
        found: dict[str, object] = {"log_z": log_z}
        conditionals = self._double(params)
        for part, (data, weights) in self.parts.items():
            value = log_likelihood(conditionals, data, weights, trainer.phases.hidden, log_z)
            found[f"{name}_{part}"] = value
        return found

    def _pseudo_likelihoods(self, params: Params) -> dict[str, object]:
        found: dict[str, object] = {}
        if not self._scored:
            return found
        conditionals = self.trainer.conditionals(params)
        for part, (data, weights) in self.parts.items():
            key = key_of(self.seed, "pseudo-likelihood", part)
            score = pseudo_log_likelihood(conditionals, data, weights, key)
            found[f"pseudo_log_likelihood_{part}"] = score.value
            found[f"pseudo_log_likelihood_{part}_stderr"] = score.stderr
        return found

    def _data_energy(self) -> dict[str, object]:
        """``u(v)`` of the data per visible unit: what that of the chains is compared with."""
        trainer = self.trainer
        if not trainer.phases.flat:
            return {}
        u = visible_potential(self._double(), self.sample, trainer.phases.hidden)
        return {"data_energy": self.sample_weights @ u / self.moments.units}

    def _hidden(self, states, exact: Exact | None) -> dict[str, object]:
        """Means of hidden units under the model and under the data, and how many are active at once."""
        trainer = self.trainer
        hamiltonian = trainer.problem.hamiltonian
        if not trainer.phases.hidden:
            return {}
        conditionals = trainer.conditionals()
        known = trainer.phases.with_hidden(conditionals, self.sample)
        means = {"_data": RowAverages(hamiltonian, known, self.sample_weights)}
        if states is not None:
            part = {name: x[:ROWS] for name, x in states.items()}
            means[""] = RowAverages(hamiltonian, trainer.phases.chain_moments(conditionals, part))
        elif exact is not None:
            means[""] = ExactAverages(exact)
        found: dict[str, object] = {}
        for name in trainer.phases.hidden:
            potts = hamiltonian.group(name).prior.kind is UnitKind.POTTS
            for suffix, averages in means.items():
                mean = averages.mean(name)
                found[f"hidden_mean_{name}{suffix}"] = mean if potts else mean[:, 0]
            if not potts:
                active = participation_ratio(known[name].first, axis=1, power=CUBED)
                found[f"hidden_participation_{name}"] = self.sample_weights @ active
        return found


def summary_line(measured: Mapping[str, np.ndarray]) -> str:
    """The few numbers that tell whether a training goes well, for live progress.

    Log-likelihood (or its bound, or the pseudo-likelihood) in nats per sample, on training and test
    data; correlation of the second moments with those of the data; autocorrelation time in sweeps.
    """
    words = []
    for name, short in (
        ("log_likelihood", "ll"),
        ("log_likelihood_bound", "ll >="),
        ("log_likelihood_ais", "ll"),
        ("log_likelihood_tracked", "ll"),
        ("log_likelihood_bound_ais", "ll >="),
        ("log_likelihood_bound_tracked", "ll >="),
        ("pseudo_log_likelihood", "pl"),
    ):
        if not np.isfinite(measured.get(f"{name}_train", np.nan)):
            continue
        text = f"{short} {float(measured[f'{name}_train']):.4g}"
        held_out = next((p for p in ("test", "validation") if f"{name}_{p}" in measured), None)
        if held_out is not None:
            text += f" ({held_out} {float(measured[f'{name}_{held_out}']):.4g})"
        words.append(text)
        break
    for name, short, form in (
        ("moment2_pearson", "moments", ".3f"),
        ("chain_tau", "tau", ".3g"),
        ("gradient_norm", "gradient", ".2g"),
    ):
        value = float(measured.get(name, np.nan))
        if np.isfinite(value) and not (short == "gradient" and words[1:]):
            words.append(f"{short} {value:{form}}")
    return "  ".join(words)
