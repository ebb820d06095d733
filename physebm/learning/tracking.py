"""log Z along a training: walkers that follow the model from update to update and carry weights.

Annealed importance sampling does not ask where the models of its path come from. The walk to the model
at the start of a training goes on along the training itself (G. Desjardins, A. Courville, Y. Bengio,
NIPS (2011), track log Z so; D. Carbone, M. Hua, S. Coste, E. Vanden-Eijnden, NeurIPS (2023)): at an
update from theta to theta',

    log w_c += u_theta(x_c) - u_theta'(x_c),    then sweeps of the walkers at theta',

and ``log Z = log <w>``, from ``log Z_0`` of independent units on, whatever the walkers lag behind. u is
the potential of the visible units where hidden units can be summed out (a sweep draws these first, so
that they carry no memory), and of whole configurations otherwise.

The walkers are not the chains of the gradient. An update moves probability away from where the chains
of its gradient stand: their weights would fall by ``(rate/n) sum_a Var(phi_a)`` per update more than Z
does, phi the statistics of all trained numbers, which adds up to nats. Of walkers that
no update has read ``<w> = Z`` holds exactly, and a training that is tracked keeps its bits.

Errors. The walkers are dealt into `BLOCKS` blocks that never exchange anything: each has its own
estimate, unbiased for Z, and the error is that of the mean over blocks by their scatter. What time
correlations and resampling do is in it. Where the effective number of a block falls below a share of
its walkers, these are resampled in proportion to their weights: the log of the mean weight is added to
the block's log Z, weights are equal again, and copies part by words of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physebm.backends.base import Backend
from physebm.free_energy.annealed import forward
from physebm.free_energy.data_base import path_from_data
from physebm.free_energy.likelihood import joint_potential, visible_potential
from physebm.free_energy.path import placed
from physebm.free_energy.schedule import equal_speed, offset
from physebm.free_energy.weights import LogMean, log_mean, systematic
from physebm.learning.chains import ChainOptions, Chains
from physebm.learning.train import Trainer
from physebm.model.conditionals import Conditionals
from physebm.model.params import Params
from physebm.native.products import single_threaded_blas
from physebm.observables.reweighting import effective_sample_size, log_mean_exp
from physebm.rng.streams import key_of

# Blocks that scatter: the error is known to a fifth. Fewer walkers are a block each.
BLOCKS = 16


@dataclass(frozen=True)
class Annealing:
    """How log Z is estimated beside a training.

    Attributes
    ----------
    chains
        Walkers of each direction of annealing, and those that follow the training.
    temperatures
        Rows of every annealed walk.
    sweeps
        At every row, and of the following walkers per update.
    resample
        Share of a block's walkers below which its effective number has it resampled; 0: never.
    """

    chains: int = 200
    temperatures: int = 500
    sweeps: int = 1
    resample: float = 0.5


class Tracker:
    """Weighted walkers that follow a trainer; it is read and never changed.

    Parameters
    ----------
    trainer
        As it stands before its first update, whatever is restored afterwards.
    seed, name
        What the random words are addressed by.

    Attributes
    ----------
    log_w
        Log-weights ``[walker]`` since the last resampling of their block.
    totals
        ``log Z`` of each block at its last resampling.
    resamplings
        Resamplings so far, of all blocks.
    """

    def __init__(
        self,
        trainer: Trainer,
        options: Annealing,
        backend: Backend,
        seed: int,
        name: tuple[object, ...] = (),
    ):
        self.trainer, self.options, self.backend = trainer, options, backend
        self.seed, self.name = seed, ("tracked", *name)
        self.params: Params = trainer.params
        count = options.chains
        edges = np.linspace(0, count, min(BLOCKS, count) + 1).astype(int)
        self.blocks = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        self.log_w, self.totals = np.zeros(count), np.zeros(len(self.blocks))
        self.resamplings = 0
        self._key = key_of(seed, *self.name)
        self._chains: Chains | None = None

    def begin(self) -> None:
        """Anneal the walkers to the model at the start; `follow` and `log_z` do so where needed."""
        if self._chains is not None:
            return
        problem, options = self.trainer.problem, self.options
        path = path_from_data(
            problem.hamiltonian, self.params, problem.coefficients, problem.data, problem.weights
        )
        with single_threaded_blas():
            rows = options.temperatures
            factors = equal_speed(path, self.backend, rows, self.seed, self.name)
            path = placed(path, factors)
            key = key_of(self.seed, "ais", *self.name, "forward")
            walked = forward(path, self.backend, key, options.chains, options.sweeps)
            chains = self._made()
            chains.place(walked.ends)
        self.log_w[:] = walked.log_w
        self.totals[:] = path.base_log_z
        self._chains = chains

    def _made(self) -> Chains:
        trainer, options = self.trainer, self.options
        return Chains(
            trainer.problem.hamiltonian,
            self.params,
            trainer.problem.coefficients,
            trainer.slots,
            ChainOptions("pcd", options.sweeps, options.chains),
            self.backend,
            self.seed,
            self.name,
        )

    def follow(self) -> None:
        """Go to the trainer's present arrays; to be called after every update."""
        self.begin()
        trainer, chains = self.trainer, self._chains
        with single_threaded_blas():
            states = chains.configurations()
            work = self._potential(trainer.params, states) - self._potential(self.params, states)
            # a walker where the model left the finite numbers has no weight any more
            work = np.where(np.isfinite(work), work, np.inf)
            self.log_w -= work
            self._resample()
            self.params = trainer.params
            chains.follow(self.params)
            chains.advance(trainer.update, {})

    def _potential(self, params: Params, states: Mapping[str, np.ndarray]) -> np.ndarray:
        trainer = self.trainer
        problem = trainer.problem
        conditionals = Conditionals(problem.hamiltonian, problem.row, params, np.float64)
        if not trainer.phases.flat:
            return joint_potential(conditionals, states)
        visible = {name: states[name] for name in problem.data}
        return visible_potential(conditionals, visible, trainer.phases.hidden)

    def _resample(self) -> None:
        """Blocks whose weights are too uneven; the random word is ``(0, block, update)``."""
        parents = np.arange(len(self.log_w))
        for b, block in enumerate(self.blocks):
            log_w = self.log_w[block]
            if not effective_sample_size(log_w) < self.options.resample * len(log_w):
                continue
            u = offset(self._key, b, self.trainer.update)
            parents[block] = block.start + systematic(log_w, u)
            self.totals[b] += log_mean_exp(log_w)
            self.log_w[block] = 0.0
            self.resamplings += 1
        if (parents != np.arange(len(parents))).any():
            self._chains.copy(parents)

    def log_z(self) -> LogMean:
        """``log Z`` at the arrays that were followed last, with the statistics over blocks."""
        self.begin()
        return log_mean(self.block_log_z())

    def block_log_z(self) -> np.ndarray:
        """``log Z [block]``, each unbiased for Z."""
        within = [log_mean_exp(self.log_w[block]) for block in self.blocks]
        return self.totals + np.array(within)

    def effective(self) -> float:
        """Effective share of the walkers within their blocks, mean over blocks."""
        sizes = [effective_sample_size(self.log_w[b]) / (b.stop - b.start) for b in self.blocks]
        return float(np.mean(sizes))

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that continues with the same bits, beside the trainer's own."""
        if self._chains is None:
            return {}
        arrays = {f"chains/{name}": x for name, x in self._chains.checkpoint().items()}
        return arrays | {
            "log_w": self.log_w,
            "totals": self.totals,
            "resamplings": np.int64(self.resamplings),
        }

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `checkpoint`, after the trainer was restored."""
        if not arrays:
            return
        self.params = self.trainer.params
        self._chains = self._made()
        prefix = "chains/"
        part = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        self._chains.restore(part)
        self._chains.follow(self.params)
        self.log_w[:], self.totals[:] = arrays["log_w"], arrays["totals"]
        self.resamplings = int(arrays["resamplings"])
