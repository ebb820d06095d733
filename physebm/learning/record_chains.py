"""The chains of the negative phase at a recorded age: order parameters, memory, and a verdict.

Energies are ``u(v)``, hidden units summed out (of deep machines u of whole configurations); "per unit"
divides by the number of visible units. The autocorrelation time is that of the slowest of what the
frozen run observes, copies of the chains at frozen parameters: the energy, the magnetisation, the
leading principal components of the data and of the chains (which tell apart valleys that chains do not
leave, whatever the couplings are called), and the leading modes of the trained couplings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from physebm.free_energy.likelihood import joint_potential, visible_potential
from physebm.learning.frozen_chains import frozen, present, started
from physebm.model.conditionals import Conditionals
from physebm.observables.chain_lag import ChainLag, Shift, chain_lag, frozen_shift
from physebm.observables.correlation import integrated_time
from physebm.observables.neighbours import chain_overlaps, data_overlaps
from physebm.observables.order import magnetisation
from physebm.observables.reweighting import effective_sample_size
from physebm.rng.streams import key_of
from physebm.sampling.tempering import acceptance
from physebm.storage.training_quantities import VERDICTS

if TYPE_CHECKING:
    from physebm.learning.train import Trainer

CHAINS = 2000  # of energies and order parameters
OVERLAPS = 1000  # chains, and rows of data, whose overlaps are formed
FROZEN = 500  # chains that run on for the autocorrelation time
MODES = 4  # modes of each coupling array, and principal components, whose autocorrelation is measured
SHORTEST = 3  # sweeps of a frozen run that has an autocorrelation
SMALLEST = 1e-300

States = Mapping[str, np.ndarray]


class ChainRecord:
    """What is measured of the chains of a trainer; it reads them and changes nothing.

    Parameters
    ----------
    data
        ``{visible group: x[row, unit]}``, rows that chains are compared with.
    sweeps
        Length of the frozen run, 0 for none. Below three there is nothing to judge chains by.
    """

    def __init__(self, trainer: Trainer, data: States, seed: int, sweeps: int):
        self.trainer, self.seed, self.sweeps = trainer, seed, sweeps if sweeps >= SHORTEST else 0
        self.data = {name: x[:OVERLAPS] for name, x in data.items()}
        hamiltonian = trainer.problem.hamiltonian
        self.groups = [hamiltonian.group(name) for name in data]
        self.units = sum(group.size for group in self.groups)
        # one kind of visible units: their overlaps and magnetisation are those of one set
        self.uniform = len({group.prior for group in self.groups}) == 1
        self.persistent = trainer.recipe.method in ("pcd", "pt")
        self._components = {}
        if self.sweeps:
            features = {name: self._features(name, x) for name, x in self.data.items()}
            self._components = {name: principal_directions(x) for name, x in features.items()}

    def slots(self) -> dict[str, np.ndarray]:
        """Configurations of all rungs as they stand, see `frozen_chains.present`."""
        chains, method = self.trainer.chains, self.trainer.recipe.method
        return present(chains, self.trainer.problem.data if method == "cd" else None)

    def at_target(self, slots: States) -> dict[str, np.ndarray]:
        """Those of the trained model, ``{group: x[chain, unit]}``."""
        return {name: x[:: self.trainer.chains.coefficients.rungs] for name, x in slots.items()}

    def potential(self, conditionals: Conditionals, states: States) -> np.ndarray:
        """``u [chain]``: of the visible units, or of deep machines of whole configurations."""
        if not self.trainer.phases.flat:
            return joint_potential(conditionals, states)
        visible = {name: states[name] for name in self.data}
        return visible_potential(conditionals, visible, self.trainer.phases.hidden)

    def measure(
        self, slots: States, vectors: Mapping[str, tuple[str, np.ndarray]]
    ) -> dict[str, np.ndarray | float | str]:
        """Everything that is recorded of the chains.

        Parameters
        ----------
        vectors
            Coupling array -> its visible group and leading modes ``[feature, mode]``.
        """
        trainer = self.trainer
        states = {name: x[:CHAINS] for name, x in self.at_target(slots).items()}
        now = self._double(trainer.params)
        u = self.potential(now, states)
        found: dict[str, np.ndarray | float | str] = {
            "chain_energy": u.mean() / self.units,
            "chain_energy_variance": u.var() / self.units,
        }
        found |= self._order(states)
        if trainer.recipe.method == "pt":
            found |= self._swaps()
        ess = np.nan
        if trainer.update:
            old = self.potential(self._double(trainer.previous), states)
            ess = float(effective_sample_size(old - u)) / len(u)
        found["ess_fraction"] = ess
        if self.sweeps:
            found |= self._memory(slots, vectors, ess)
        return found

    def _double(self, params) -> Conditionals:
        problem = self.trainer.problem
        return Conditionals(problem.hamiltonian, problem.row, params, np.float64)

    def _order(self, states: States) -> dict[str, float]:
        """Magnetisation and overlaps, of visible units of one kind."""
        if not self.uniform:
            return {}
        prior = self.groups[0].prior
        x, data = (
            np.concatenate([s[g.name] for g in self.groups], axis=1) for s in (states, self.data)
        )
        m = magnetisation(x, prior.kind, prior.q)
        found = {"chain_magnetisation": m.mean(), "chain_abs_magnetisation": np.abs(m).mean()}
        x = x[:OVERLAPS]
        if len(x) > 1:
            pairs = chain_overlaps(x, prior.kind, prior.q)
            found["replica_overlap"] = pairs.mean
            found["replica_overlap_squared"] = pairs.second_moment
        found["data_overlap"] = data_overlaps(x, data, prior.kind, prior.q).largest.mean()
        return found

    def _swaps(self) -> dict[str, float]:
        """Acceptance of exchanges between neighbouring rungs, of the ladders as they stand."""
        chains = self.trainer.chains
        state, ladders = chains.state, chains.sampler.ladders
        launch = chains.inner.launch
        energies = chains.kernels.energies(state.configurations, state.lanes, launch)
        rungs = chains.coefficients.rungs
        lower = np.flatnonzero(~ladders.last)
        if not len(lower):
            return {}
        accepted = acceptance(
            chains.coefficients.value, ladders.row, energies, state.lane_of, lower
        ).reshape(-1, rungs - 1)
        gaps = accepted.mean(axis=0)
        return {"swap_acceptance": gaps.mean(), "swap_acceptance_lowest": gaps.min()}

    def _memory(self, slots: States, vectors, ess: float) -> dict[str, np.ndarray | float | str]:
        """Autocorrelation time and verdict, from a frozen run."""
        trainer = self.trainer
        chains = trainer.chains
        count = min(FROZEN, chains.options.chains)
        conditionals = trainer.conditionals()
        directions = self._directions(slots, vectors, count)

        def observe(states: States) -> np.ndarray:
            rows = [self.potential(conditionals, states) / self.units]
            for group, U in directions.items():
                rows.extend((self._features(group, states[group]) @ U).T)
            return np.array(rows, dtype=np.float64)

        key = key_of(self.seed, "tau", *chains.name, trainer.update)
        series = frozen(chains, slots, key, count, self.sweeps, observe)
        time = integrated_time(series)
        slowest = int(np.nanargmax(time.tau)) if np.isfinite(time.tau).any() else 0
        tau, reliable = float(time.tau[slowest]), bool(time.reliable[slowest])
        shift = frozen_shift(series) if count > 1 else None
        steps = chains.options.steps
        found = {
            "chain_tau": tau,
            "chain_tau_stderr": float(time.stderr[slowest]),
            "chain_tau_reliable": np.int8(reliable),
        }
        if not trainer.update:  # chains that never ran: there is nothing to judge
            unjudged = np.int8(VERDICTS.index("not_recorded"))
            return found | {
                "chain_lag": np.nan,
                "chain_verdict": unjudged,
                "chain_verdict_message": "",
            }
        if self.persistent:
            lag = chain_lag(tau, steps, ess, reliable=reliable, shift=shift)
        else:
            lag = self._lag_of_fresh(tau, reliable, shift, series, observe)
        return found | {
            "chain_lag": float(lag.lag),
            "chain_verdict": np.int8(lag.code),
            "chain_verdict_message": str(lag.message.item()),
        }

    def _directions(self, slots: States, vectors, count: int) -> dict[str, np.ndarray]:
        """What the frozen run projects each visible group on, ``[feature, direction]``."""
        states, found = self.at_target(slots), {}
        for group in self.groups:
            x = self._features(group.name, states[group.name][:count])
            q = group.prior.features
            uniform = np.tile(np.eye(q, dtype=np.float32), (group.size, 1)) / group.size
            parts = [uniform, self._components[group.name], principal_directions(x)]
            parts += [U[:, :MODES] for name, U in vectors.values() if name == group.name]
            found[group.name] = np.concatenate(parts, axis=1).astype(np.float32)
        return found

    def _lag_of_fresh(self, tau, reliable, shift: Shift | None, series, observe) -> ChainLag:
        """Chains that start anew keep the part M of their start's distance D: a drift of ``(1 - M) D``.

        D is that of the mean over starts from the mean of the second half of the run, in standard
        deviations of the worst observable.
        """
        trainer, steps = self.trainer, self.trainer.chains.options.steps
        number, batch = trainer.update, None
        if trainer.recipe.method == "cd":
            rows = trainer.phases.rows(number)
            batch = trainer.problem.data if rows is None else trainer.problem.batch(rows)
        starts = observe({n: x[:CHAINS] for n, x in started(trainer.chains, number, batch).items()})
        late = series[..., series.shape[-1] // 2 :]
        sd = late.std(axis=(1, 2))
        moved = sd > 0
        if not moved.any() or np.isnan(tau):
            return chain_lag(np.nan, steps, 1.0, reliable=reliable, shift=shift)
        distance = np.abs(starts.mean(axis=1) - late.mean(axis=(1, 2)))[moved] / sd[moved]
        drift = (1.0 - float(chain_lag(tau, steps, 1.0).memory)) * distance.max()
        ess = max(float(np.exp(-(min(drift, 25.0) ** 2))), SMALLEST)
        return chain_lag(tau, steps, ess, reliable=reliable, shift=shift)

    def _features(self, name: str, x: np.ndarray) -> np.ndarray:
        q = self.trainer.problem.hamiltonian.group(name).prior.features
        if q == 1:
            return x.astype(np.float32)
        return (x[..., None] == np.arange(q)).astype(np.float32).reshape(len(x), -1)


def principal_directions(x: np.ndarray) -> np.ndarray:
    """Up to `MODES` principal components of rows ``x [row, feature]``, ``[feature, component]``.

    Through the products of rows, which are fewer than the features of large machines.
    """
    x = x - x.mean(axis=0)
    values, rows = np.linalg.eigh(x.astype(np.float64) @ x.T)
    keep = np.flatnonzero(values > 1e-9 * max(values[-1], 1e-300))[-MODES:]
    return x.T @ rows[:, keep] / np.sqrt(values[keep])
