"""Estimated log-likelihoods of data at a recorded age: annealing both ways, and the tracked log Z.

    log_z_ais        annealed importance sampling from independent units with the means of the data,
                     with its reverse from the model, a bracket and a verdict
    log_z_tracked    walkers that followed the training from its start (`tracking`)

The two share no random word. The mean weight of either is unbiased for Z, so that a difference of
more than `SIGMAS` errors tells that one of them misses a phase or is out of its depth: a finding.

The reverse walks start from the chains of the training where these persist (pcd, pt), the nearest to
draws of the model there is. Chains that lag behind the model show so: the two directions part. Where
chains are made anew for every update (or there are none) the starts are those of `annealed`.

``log p = -<u(v)>_data - log Z``; its error is that of log Z, the data being what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from physebm.errors import StudyError
from physebm.free_energy.annealed import SIGMAS, annealed
from physebm.free_energy.data_base import path_from_data
from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.likelihood import log_likelihood
from physebm.free_energy.path import placed
from physebm.free_energy.schedule import equal_speed
from physebm.free_energy.weights import LogMean, findings
from physebm.learning.tracking import Tracker
from physebm.model.conditionals import Conditionals
from physebm.native.products import single_threaded_blas
from physebm.storage.training_quantities import ESTIMATE_VERDICTS

PERSISTENT = ("pcd", "pt")
# What rounding alone may do, relative to log Z.
ROUNDING = 1e-9

Part = tuple[Mapping[str, np.ndarray], np.ndarray]


class LikelihoodRecord:
    """What is estimated of a training, by the names of `storage.training_quantities`.

    Parameters
    ----------
    parts
        ``{"train" | "validation" | "test": ({visible group: x[sample, unit]}, weights[sample])}``,
        weights with sum 1.
    annealed_at
        Ages, in updates, at which annealing is asked for; None: at every one. NaN stands elsewhere.
    """

    def __init__(
        self, tracker: Tracker, parts: Mapping[str, Part], annealed_at: Iterable[int] | None = None
    ):
        self.tracker, self.parts = tracker, dict(parts)
        self.annealed_at = None if annealed_at is None else frozenset(annealed_at)

    def measure(self) -> dict[str, np.ndarray]:
        """Everything at the update that the tracker followed last."""
        with single_threaded_blas():
            tracked = self.tracker.log_z()
            found = self._tracked(tracked) | self._annealed(tracked)
        return {name: np.asarray(value) for name, value in found.items()}

    def _tracked(self, tracked: LogMean) -> dict[str, object]:
        tracker = self.tracker
        found: dict[str, object] = {
            "log_z_tracked": tracked.value,
            "log_z_tracked_stderr": tracked.stderr,
            "tracked_ess_fraction": tracker.effective(),
            "tracked_resamplings": np.int64(tracker.resamplings),
        }
        return found | self._likelihoods("tracked", tracked.value, tracked.stderr)

    def _annealed(self, tracked: LogMean) -> dict[str, object]:
        """Annealing, the difference of the two, and what each is worth."""
        about_tracked = tracked_findings(tracked)
        update = self.tracker.trainer.update
        if self.annealed_at is not None and update not in self.annealed_at:
            unjudged = ESTIMATE_VERDICTS.index("not_recorded")
            return self._alone(about_tracked, unjudged, "")
        try:
            estimate = self.estimate()
        except StudyError as problem:  # a measurement does not end a training
            return self._alone(about_tracked, Verdict.FAILED, str(problem))
        difference = tracked.value - estimate.log_z
        error = float(np.hypot(tracked.stderr, estimate.stderr))
        apart = []
        if not abs(difference) <= SIGMAS * error + ROUNDING * (1.0 + abs(estimate.log_z)):
            reason = (
                f"tracked and annealed log Z differ by {difference:.3g} nats ({error:.2g} expected)"
            )
            apart.append(Finding(Verdict.SUSPECT, reason))
        own = [Finding(estimate.verdict, estimate.reason)] if estimate.reason else []
        found: dict[str, object] = {
            "log_z_ais": estimate.log_z,
            "log_z_ais_stderr": estimate.stderr,
            "log_z_ais_low": estimate.low,
            "log_z_ais_high": estimate.high,
            "tracked_difference": difference,
            "tracked_difference_stderr": error,
        }
        found |= self._likelihoods("ais", estimate.log_z, estimate.stderr)
        # what the walkers lost long ago says nothing about annealing
        lost = judged(about_tracked)[0] is Verdict.FAILED
        found |= _judgement("log_z_ais", *judged([*own, *([] if lost else apart)]))
        return found | _judgement("log_z_tracked", *judged([*about_tracked, *apart]))

    def _alone(self, about_tracked: list[Finding], code: int, reason: str) -> dict[str, object]:
        """An age without an annealed estimate."""
        found: dict[str, object] = dict.fromkeys(AIS, np.nan)
        found |= self._likelihoods("ais", np.nan, np.nan)
        found |= _judgement("log_z_ais", code, reason)
        return found | _judgement("log_z_tracked", *judged(about_tracked))

    def estimate(self) -> Estimate:
        """Annealing both ways to the model as it is."""
        tracker = self.tracker
        trainer, options = tracker.trainer, tracker.options
        problem = trainer.problem
        path = path_from_data(
            problem.hamiltonian, trainer.params, problem.coefficients, problem.data, problem.weights
        )
        name = (*tracker.name, "age", trainer.update)
        rows, sweeps = options.temperatures, options.sweeps
        path = placed(path, equal_speed(path, tracker.backend, rows, tracker.seed, name))
        start = None
        if trainer.update and trainer.recipe.method in PERSISTENT and trainer.recipe.chains.chains > 1:
            start = trainer.chains.configurations()
        return annealed(
            path,
            tracker.backend,
            tracker.seed,
            name,
            chains=options.chains,
            sweeps=sweeps,
            start=start,
        )

    def _likelihoods(self, way: str, log_z: float, stderr: float) -> dict[str, object]:
        trainer = self.tracker.trainer
        problem = trainer.problem
        conditionals = Conditionals(problem.hamiltonian, problem.row, trainer.params, np.float64)
        score = "log_likelihood" if trainer.phases.flat else "log_likelihood_bound"
        found: dict[str, object] = {}
        for part, (data, weights) in self.parts.items():
            name = f"{score}_{way}_{part}"
            found[name] = np.nan
            if not np.isnan(log_z):
                found[name] = log_likelihood(conditionals, data, weights, trainer.phases.hidden, log_z)
            found[f"{name}_stderr"] = stderr
        return found


def tracked_findings(tracked: LogMean) -> list[Finding]:
    """What speaks against a tracked log Z, of statistics over blocks: too few of them carry it."""
    worst, _ = judged(findings(tracked))
    if worst is Verdict.TRUSTED:
        return []
    reason = (
        f"{tracked.effective:.1f} of {tracked.chains} blocks of walkers count, their log Z have "
        f"standard deviation {np.sqrt(tracked.variance):.2g}: more walkers or sweeps, or a lower "
        "learning rate"
    )
    return [Finding(worst, reason)]


AIS = (
    *("log_z_ais", "log_z_ais_stderr", "log_z_ais_low", "log_z_ais_high"),
    *("tracked_difference", "tracked_difference_stderr"),
)


def _judgement(name: str, code: int, reason: str) -> dict[str, object]:
    return {f"{name}_verdict": np.int8(code), f"{name}_verdict_message": reason}


def likelihood_names(parts: Iterable[str], flat: bool) -> list[str]:
    """All names of `LikelihoodRecord.measure`; `flat`: hidden units factorise given the data."""
    names = [*AIS, "log_z_tracked", "log_z_tracked_stderr"]
    names += ["tracked_ess_fraction", "tracked_resamplings"]
    for way in ("ais", "tracked"):
        names += [f"log_z_{way}_verdict", f"log_z_{way}_verdict_message"]
        score = "log_likelihood" if flat else "log_likelihood_bound"
        names += [f"{score}_{way}_{part}{tail}" for part in parts for tail in ("", "_stderr")]
    return names
