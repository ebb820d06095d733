"""No random word is used twice: addresses that whole runs touch, on the reference backend."""

from collections import Counter

import numpy as np
import pytest

import physebm
from physebm.backends import reference
from physebm.model import disorder
from physebm.sampling import initial, tempering


class Trace:
    """Every (counter, key, word) that was drawn, every bit of a block, every block drawn whole."""

    def __init__(self, monkeypatch):
        self.words: Counter = Counter()
        self.bits: Counter = Counter()
        self.blocks: Counter = Counter()
        draw = reference._words

        def words(positions, lanes, sweep, purpose, move, index):
            for p in np.asarray(positions).tolist():
                for walker, (k0, k1) in zip(lanes.walker.tolist(), lanes.key.tolist()):
                    last = reference.last_word(purpose, move, index)
                    block = 16 * (p >> 6) + (p & 15)
                    self.words[(block, walker, sweep, last, k0, k1), (p >> 4) & 3] += 1
            return draw(positions, lanes, sweep, purpose, move, index)

        planes = reference._plane_words

        def plane_words(positions, lanes, sweep, purpose, move):
            for p in np.asarray(positions).tolist():
                for walker, (k0, k1) in zip(lanes.walker.tolist(), lanes.key.tolist()):
                    for draw in range(8):
                        last = reference.last_word(purpose, move, draw)
                        address = (p, walker >> 5, sweep, last, k0, k1)
                        self.bits[address, walker & 31] += 1
            return planes(positions, lanes, sweep, purpose, move)

        monkeypatch.setattr(reference, "_words", words)
        monkeypatch.setattr(reference, "_plane_words", plane_words)
        for module in (initial, tempering, disorder):
            monkeypatch.setattr(module, "philox4x32", self._recorded(module.philox4x32))

    def _recorded(self, philox):
        def recorded(*counter_and_key):
            for address in np.broadcast(*(np.asarray(c) for c in counter_and_key)):
                self.blocks[tuple(int(word) for word in address)] += 1
            return philox(*counter_and_key)

        return recorded


@pytest.mark.parametrize(
    ("name", "sizes", "options"),
    [
        ("ising_2d", {"L": 3}, {}),
        ("sk", {"N": 5}, {"tempering": {}, "disorder": 2}),
        ("hopfield_gaussian", {"N": 5, "P": 2}, {"start": "pattern"}),
        ("potts_2d", {"L": 3}, {"method": "metropolis"}),
        ("deep_boltzmann_machine", {}, {}),
    ],
)
def test_a_run_uses_no_word_twice(monkeypatch, name, sizes, options):
    trace = Trace(monkeypatch)
    model = physebm.load_model(name)
    small = {key: held.text for key, held in model.declaration.small.items()}
    physebm.sample(
        physebm.load_model(name, **{**small, **sizes}), [0.8, 1.5],
        sweeps=64, discard=4, chains=2, backend="reference", seed=3, **options,
    )  # fmt: skip
    assert trace.words and max(trace.words.values()) == 1
    # quenched arrays are drawn anew, with the same numbers, wherever a cell needs them
    assert not {address for address, _ in trace.words} & set(trace.blocks)
    purposes = {address[3] >> 24 for address, _ in trace.words}
    assert purposes <= {1, 2}


def test_starts_and_exchanges_draw_each_block_once(monkeypatch):
    trace = Trace(monkeypatch)
    model = physebm.load_model("ising_2d", L=3)
    physebm.sample(model, [2.0, 2.5, 3.0], sweeps=64, discard=8, backend="reference", tempering={})
    swaps = {a: n for a, n in trace.blocks.items() if a[3] >> 24 == 8}
    starts = {a: n for a, n in trace.blocks.items() if a[3] >> 24 == 18}
    assert len(swaps) >= 64 and starts
    assert max(swaps.values()) == 1


@pytest.mark.parametrize(
    ("method", "options"), [("heat-bath", {"tempering": {}}), ("metropolis", {"disorder": 2})]
)
def test_a_bit_sliced_run_uses_no_bit_twice(monkeypatch, method, options):
    """A bit of all four words of a block belongs to one walker; blocks to nobody else."""
    trace = Trace(monkeypatch)
    model = physebm.load_model("edwards_anderson_2d", L=3)
    physebm.sample(
        model, [0.8, 1.5], sweeps=64, discard=4, chains=40, backend="reference", seed=3,
        method=method, **options,
    )  # fmt: skip
    assert not trace.words and max(trace.bits.values()) == 1
    addresses = {address for address, _ in trace.bits}
    assert not addresses & set(trace.blocks)
    assert {address[3] >> 24 for address in addresses} == {7 if method == "metropolis" else 6}
