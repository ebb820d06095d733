"""Chains of the negative phase that run on at frozen parameters: copies, with words of their own.

The training never notices: configurations are copied, the key is another one, and the kernels only
read what they share. Under tempering the whole ladder runs (that is how the chains of the training
move); what is observed are the configurations at the trained model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from physebm.arrays import Key
from physebm.backends.base import Lanes, LaneState
from physebm.learning.chains import Chains
from physebm.sampling.chain import ChainState, Sampler
from physebm.sampling.tempering import Ladders, ParallelTempering

States = Mapping[str, np.ndarray]


def started(chains: Chains, number: int, batch: States | None) -> dict[str, np.ndarray]:
    """Where the chains of update `number` start that do not persist (cd, rdm).

    Returns ``{group: x[chain, unit]}``; `batch` holds the data from which contrastive divergence
    starts, None otherwise.
    """
    x = dict(chains.random_state((number,)).x)
    for name, values in (batch or {}).items():
        x[name] = values[np.arange(chains.options.chains) % len(values)].astype(x[name].dtype)
    return x


def present(chains: Chains, batch: States | None) -> dict[str, np.ndarray]:
    """Configurations by slot, chain after chain: of all rungs of a ladder, from the trained model on.

    Before the first update chains that do not persist stand at their starts.
    """
    if chains.state is None:
        return started(chains, 0, batch)
    x = chains.state.configurations.x
    if chains.options.method != "pt":
        return dict(x)
    return {name: values[chains.state.lane_of] for name, values in x.items()}


def frozen(
    chains: Chains,
    configurations: States,
    key: Key,
    count: int,
    sweeps: int,
    observe: Callable[[States], np.ndarray],
) -> np.ndarray:
    """Observables ``[observable, chain, draw]`` over `sweeps` sweeps; draw 0 is where the chains stand.

    Parameters
    ----------
    configurations
        By slot, as `present` gives them.
    key
        Of all random words.
    count
        Chains that take part, from the first one on.
    observe
        ``observe({group: x[chain, unit]}) -> [observable, chain]``.
    """
    rungs = chains.coefficients.rungs
    sampler, state = _copied(chains, configurations, key, count * rungs)
    tempered = isinstance(sampler, ParallelTempering)

    def draw() -> np.ndarray:
        rows = state.lane_of[::rungs] if tempered else slice(None)
        return observe({name: x[rows] for name, x in state.configurations.seen.items()})

    draws = [draw()]
    for _ in range(sweeps):
        state = sampler.step(state, 1)
        draws.append(draw())
    return np.stack(draws, axis=-1)


def _copied(chains: Chains, configurations: States, key: Key, lanes: int) -> tuple[Sampler, ChainState]:
    rungs = chains.coefficients.rungs
    keys = np.repeat(np.array([key], dtype=np.uint32), lanes, axis=0)
    zeros = np.zeros(lanes)
    table = Lanes(zeros, zeros, np.arange(lanes), keys)
    held = LaneState({name: x[:lanes].copy() for name, x in configurations.items()})
    sampler: Sampler = chains.inner
    if chains.options.method == "pt":
        count = lanes // rungs
        ladders = Ladders.of([np.arange(rungs)] * count, keys[:count], np.arange(count))
        sampler = ParallelTempering(chains.inner, ladders, chains.coefficients)
    return sampler, sampler.init(held, table)
