"""The chains of the negative phase: contrastive, persistent, tempered or fresh, by the sweep kernels.

    cd    chains start at the batch and make k sweeps: a biased gradient, that of CD-k
          (G. E. Hinton, Neural Comput. 14, 1771 (2002))
    pcd   chains go on from update to update, k sweeps each
          (T. Tieleman, ICML (2008); L. Younes, Stoch. Stoch. Rep. 65, 177 (1999))
    pt    the same, each chain with a ladder of replicas in which H is scaled from 1 down to `hottest`
          (G. Desjardins et al., AISTATS (2010)); priors are not scaled
    rdm   chains start at random and make k sweeps: training out of equilibrium, whose samples are
          those of k sweeps from random starts
          (E. Agoritsas, G. Catania, A. Decelle, B. Seoane, ICML (2023))

The sweep number goes on over all updates, so that no random word is used twice. Hidden groups are drawn
before visible ones: a sweep from a data vector v is h ~ p(h | v), then v' ~ p(v | h).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from physebm.backends.base import Advances, Backend, Lanes, LaneState, launch
from physebm.free_energy.path import scaled
from physebm.lowering.operands import bind, update
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import Constant, Product
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.roles import factorises, hidden_groups
from physebm.model.terms import array_of
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import ChainState, PlanSampler, Sampler
from physebm.sampling.tempering import Ladders, ParallelTempering

METHODS = ("cd", "pcd", "pt", "rdm")


@dataclass(frozen=True)
class ChainOptions:
    """How the negative phase is sampled.

    Attributes
    ----------
    method
        One of `METHODS`.
    steps
        k, sweeps per update.
    chains
        Number of chains (cd: that of the batch).
    rungs, hottest
        pt: replicas per chain, and the factor of H in the hottest; factors are equally spaced.
    start
        pcd and pt: "random" or "data".
    """

    method: str
    steps: int = 1
    chains: int = 500
    rungs: int = 10
    hottest: float = 0.0
    start: str = "random"


class Chains:
    """Chains of a model whose arrays change.

    Parameters
    ----------
    params, coefficients
        The arrays at the start, and the coefficient row at which the model is trained.
    trained
        Slots whose arrays change.
    key
        64-bit key of all their random words, and `seed_parts` what it was made from: fresh starts
        make keys of their own from it.
    """

    def __init__(
        self,
        hamiltonian: Hamiltonian,
        params: Params,
        coefficients: Coefficients,
        trained: tuple[str, ...],
        options: ChainOptions,
        backend: Backend,
        seed: int,
        name: tuple[object, ...],
    ):
        self.hamiltonian, self.options, self.trained = hamiltonian, options, trained
        self.seed, self.name = seed, name
        tempered = options.method == "pt"
        factors = np.linspace(1.0, options.hottest, options.rungs) if tempered else np.ones(1)
        lanes = options.chains * len(factors)
        self.plan = lower(hamiltonian, Options.of(params, lanes=lanes, changing=trained))
        self.operands = bind(self.plan, hamiltonian, params)
        self.coefficients = scaled(hamiltonian, coefficients, factors)
        self.kernels = backend.compile(self.plan)
        self.inner = PlanSampler(self.kernels, launch(self.plan, self.operands, self.coefficients))
        key = np.array([key_of(seed, "train", *name)], dtype=np.uint32)
        rungs = len(factors)
        self._lanes = Lanes(
            np.zeros(lanes), np.zeros(lanes), np.arange(lanes), np.repeat(key, lanes, axis=0)
        )
        self.sampler: Sampler = self.inner
        if tempered:
            ladders = Ladders.of(
                [np.arange(rungs)] * options.chains,
                np.repeat(key, options.chains, axis=0),
                np.arange(options.chains),
            )
            self.sampler = ParallelTempering(self.inner, ladders, self.coefficients)
        self._tempered = tempered
        self.state: ChainState | None = None
        # where hidden units couple to each other, their start matters too
        self._flat = factorises(hamiltonian, hidden_groups(hamiltonian))
        self._scale = self._prior_scales(params)
        self._plain, self._followed = self._is_plain(), False

    def _prior_scales(self, params: Params) -> dict[str, np.ndarray | float]:
        """Standard deviations of the continuous priors, for random starts."""
        from_w = {}
        for group in self.hamiltonian.groups:
            if not group.prior.discrete:
                t = self.hamiltonian.prior_term(group.name)
                w = self.operands.arrays.get(f"w{t}")
                c = self.coefficients.value[0, t]
                from_w[group.name] = 1.0 / np.sqrt(c * (1.0 if w is None else w[0]))
        self._lower = {name: edge[0] for name, edge in params.lower.items()}
        return from_w

    def random_state(self, name: tuple[object, ...], lanes: Lanes | None = None) -> LaneState:
        """Random configurations of some lanes (all chains), under a key of their own."""
        lanes = self._lanes if lanes is None else lanes
        key = np.array([key_of(self.seed, "start", *self.name, *name)], dtype=np.uint32)
        fresh = Lanes(lanes.instance, lanes.rung, lanes.walker, np.repeat(key, len(lanes), axis=0))
        state = initial.empty(self.plan, len(lanes))
        rows = np.arange(len(lanes))
        for g, group in enumerate(self.plan.groups):
            scale, lower = self._scale.get(group.name, 1.0), self._lower.get(group.name, 0.0)
            state.x[group.name][:] = initial.random(self.plan, fresh, g, rows, scale, lower)
        return state

    def begin(self, batch: Mapping[str, np.ndarray] | None = None) -> None:
        """Persistent chains at their start; `batch` holds data for ``start = "data"``."""
        state = self.random_state(("chains",))
        if batch is not None:
            self._write(state, batch)
        self._start(state)

    def place(self, configurations: Mapping[str, np.ndarray]) -> None:
        """Persistent chains at given configurations of all groups ``{group: x[lane, unit]}``."""
        state = initial.empty(self.plan, len(self._lanes))
        for name, x in state.x.items():
            x[:] = configurations[name]
        self._start(state)

    def _start(self, state: LaneState) -> None:
        """Chains at sweep 0, without energies, which the next update of the arrays makes wrong."""
        if self._tempered:
            self.state = replace(self.sampler.init(state, self._lanes), energies=None)
        else:
            self.kernels.prepare(state, self._lanes, self.inner.launch)
            self.state = ChainState(state, self._lanes, 0, None)

    def copy(self, parents: np.ndarray) -> None:
        """Let lane c go on from where lane ``parents[c]`` stands, with words of its own.

        Running fields are those of the old places until `follow`.
        """
        for x in self.state.configurations.x.values():
            x[:] = x[parents]

    def _write(self, state: LaneState, batch: Mapping[str, np.ndarray]) -> None:
        """Put data vectors into the visible groups of all lanes, round and round."""
        rungs = len(self._lanes) // self.options.chains
        for name, x in batch.items():
            rows = np.arange(self.options.chains) % len(x)
            state.x[name][:] = np.repeat(x[rows], rungs, axis=0)

    def follow(self, params: Params) -> None:
        """Let the kernels read changed arrays."""
        if self._plain and self._followed:
            self._write_plain(params)
        else:
            update(self.operands, self.plan, self.hamiltonian, params, self.trained)
            self._scale = self._prior_scales(params)
        self._followed = True
        if self.state is not None and self.state.configurations.work:
            self.kernels.prepare(self.state.configurations, self.state.lanes, self.inner.launch)

    def _is_plain(self) -> bool:
        """Whether what is trained is couplings between two groups, and fields, of two-state units."""
        reads = [
            read
            for read, term in zip(self.plan.terms, self.hamiltonian.terms)
            if array_of(term) in self.trained
        ]
        scalar = all(g.prior.discrete and g.prior.features == 1 for g in self.plan.groups)
        return scalar and all(isinstance(read, Product | Constant) for read in reads)

    def _write_plain(self, params: Params) -> None:
        """What `update` does, each array once through memory."""
        from physebm.native.machine import couplings_both_ways

        arrays = self.operands.arrays
        for t, term in enumerate(self.hamiltonian.terms):
            name = array_of(term)
            if name not in self.trained:
                continue
            if isinstance(self.plan.terms[t], Product):
                to_b, to_a = arrays[f"J{t}_to_b"][0], arrays[f"J{t}_to_a"][0]
                couplings_both_ways(to_b, to_a, params.arrays[name][0].reshape(to_b.shape))
            else:
                arrays[f"h{t}"][0] = params.arrays[name][0].reshape(-1)
            self.operands.overwritten(t)

    def couplings(self) -> dict[int, np.ndarray]:
        """Couplings between two groups as the kernels read them, by term ``[width_a, width_b]``.

        Of terms with coefficient 1 at the trained model, up to the next `follow`.
        """
        c = self.coefficients.value[0]
        products = (t for t, read in enumerate(self.plan.terms) if isinstance(read, Product))
        return {t: self.operands.arrays[f"J{t}_to_b"][0] for t in products if c[t] == 1.0}

    def advance(self, number: int, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The chains of update `number`: k sweeps; their configurations ``{group: x[chain, unit]}``.

        They are to be read before the next update, which overwrites them.
        """
        self.move(number, batch)
        return self.configurations() if self._tempered else self.state.configurations.seen

    def move(self, number: int, batch: Mapping[str, np.ndarray]) -> None:
        """The k sweeps of update `number`; configurations stay where the kernels have them."""
        method = self.options.method
        if method in ("cd", "rdm"):
            state = self.random_state((number,)) if method == "rdm" or not self._flat else None
            state = state or initial.empty(self.plan, len(self._lanes))
            if method == "cd":
                self._write(state, batch)
            self._start(state)
            self.state.sweep = (number - 1) * self.options.steps
        self._step(self.state)

    def _step(self, state: ChainState) -> None:
        """The k sweeps; exchanges of replicas read energies within them, and nobody does after."""
        steps, inner = self.options.steps, self.inner
        if self._tempered:
            self.state = replace(self.sampler.step(state, steps), energies=None)
            return
        advances = isinstance(self.kernels, Advances)
        sweep = self.kernels.advance if advances else self.kernels.sweep
        sweep(state.configurations, state.lanes, inner.launch, state.sweep, steps)
        state.sweep += steps

    def at_target(self) -> np.ndarray:
        """The lanes that stand at the trained model (pt: those at factor 1)."""
        if self._tempered:
            return self.state.lane_of[self.sampler.ladders.position == 0]
        return np.arange(len(self._lanes))

    def configurations(self) -> dict[str, np.ndarray]:
        """Configurations of the trained model ``{group: x[chain, unit]}``."""
        lanes = self.at_target()
        return {name: x[lanes] for name, x in self.state.configurations.seen.items()}

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Everything that continues with the same bits."""
        if self.state is None:
            return {}
        state = self.state
        arrays = {f"x/{name}": x for name, x in state.configurations.x.items()}
        arrays |= {f"work/{name}": x for name, x in state.configurations.work.items()}
        arrays |= {"rung": state.lanes.rung, "sweep": np.int64(state.sweep)}
        if self._tempered:
            held = self.sampler.checkpoint(state).items()
            arrays |= {f"ladder/{name}": x for name, x in held}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Continue from `checkpoint`."""
        if not arrays:
            return
        self.begin()
        state = self.state
        for kind, held in (("x/", state.configurations.x), ("work/", state.configurations.work)):
            for name in held:
                held[name][...] = arrays[f"{kind}{name}"]
        state.lanes.rung[...] = arrays["rung"]
        state.sweep = int(arrays["sweep"])
        if self._tempered:
            prefix = "ladder/"
            part = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            self.sampler.restore(state, part)
