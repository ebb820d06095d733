"""R-hat and ESS of many points at once are those of ArviZ of each, bit for bit."""

import numpy as np
import pytest
from observables_series import ar1

from physebm.observables import rank_diagnostics
from physebm.observables.rank_diagnostics import ess, rhat, rhat_and_ess


def cases(chains: int, draws: int) -> dict[str, np.ndarray]:
    """Series ``[point, chain, draw]`` of every kind that has a branch of its own."""
    rng = np.random.default_rng(chains * 10_000 + draws)
    shape = (5, chains, draws)
    one_step = np.zeros(shape)
    one_step[..., draws // 2] = 1.0
    return {
        "independent": rng.normal(size=shape),
        "slow": ar1(rng, 0.97, shape),
        "alternating": ar1(rng, -0.7, shape),
        "ties": np.round(ar1(rng, 0.5, shape)),
        "two values": rng.choice([-1.0, 1.0], size=shape),
        "apart": ar1(rng, 0.9, shape) + 3.0 * np.arange(chains)[:, None],
        "one step": one_step,
    }


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("chains", [1, 2, 3, 8])
@pytest.mark.parametrize("draws", [5, 64, 67, 257])
def test_every_bit_is_that_of_arviz(chains, draws):
    from arviz_stats.base import array_stats

    for name, x in cases(chains, draws).items():
        sizes = np.array([array_stats.ess(each) for each in x], dtype=np.float64)
        assert np.array_equal(ess(x), sizes, equal_nan=True), name
        if chains > 1:
            ratios = np.array([array_stats.rhat(each) for each in x], dtype=np.float64)
            assert np.array_equal(rhat(x), ratios, equal_nan=True), name
            both = rhat_and_ess(x)
            assert np.array_equal(both[0], ratios, equal_nan=True), name
            assert np.array_equal(both[1], sizes, equal_nan=True), name


def test_a_point_does_not_depend_on_those_beside_it(monkeypatch):
    x = cases(2, 130)["slow"]
    alone = np.concatenate([ess(each[None]) for each in x])
    assert np.array_equal(ess(x), alone)
    monkeypatch.setattr(rank_diagnostics, "_CHUNK", 2 * 130 * 2)
    assert np.array_equal(ess(x), alone)
