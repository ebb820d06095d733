"""Tempered teachers: a ladder as long as exchanges need, and samples that are those of the model."""

from pathlib import Path

import numpy as np
import pytest

from physebm.sampling import initial
from physebm.sampling.tempering import mean_acceptance, reset
from physebm.schema.load import load
from physebm.schema.model_file import read_models
from physebm.schema.study_file import study_from_text
from physebm.study.teacher import ACCEPTANCE, FIRST_RUNGS, teacher_data, teacher_sampler
from physebm.theory import curie_weiss

ZOO = read_models(Path(__file__).parents[2] / "models.toml")
CHAINS, DRAWS = 16, 200


def declared(N, temperature, tempering="true", model="curie_weiss"):
    data = (
        f'source = "model", model = "{model}", set = {{ N = {N} }}, temperature = {temperature}, '
        f"samples = {CHAINS * DRAWS}, discard = 1000, every = 5, chains = {CHAINS}, "
        f"tempering = {tempering}"
    )
    text = f'model = "boltzmann_machine"\n[train]\ndata = {{ {data} }}\nmethod = "exact"\nupdates = 1\n'
    return study_from_text(text).train.data


def sampler_of(data):
    loaded = load(ZOO[data.model], data.set)
    params = loaded.params(3, 0)
    return teacher_sampler(data, loaded, params, 3, 0, "numba")


def magnetisations(data):
    x, _ = teacher_data(data, ZOO, 3, 0, "numba")
    return x.values.reshape(DRAWS, CHAINS, -1).mean(axis=2)


def test_a_harder_teacher_has_a_longer_ladder_and_neighbours_exchange():
    found = []
    for N, temperature in ((16, 2.0), (100, 0.2)):
        data = declared(N, temperature, model="sk")
        sampler, lanes, plan = sampler_of(data)
        factors = sampler.coefficients.beta
        assert factors[0] == 1.0 and factors[-1] == 0.0 and (np.diff(factors) < 0).all()
        state = initial.empty(plan, len(lanes))
        state.x["s"][:] = initial.random(plan, lanes, 0, np.arange(len(lanes)), 1.0, 0.0)
        chain = reset(sampler.step(sampler.init(state, lanes), 200))
        chain = sampler.step(chain, 200)
        rungs = len(factors)
        accepted = mean_acceptance(chain).reshape(CHAINS, rungs)[:, :-1].mean(axis=0)
        # the ladder was found on a short run: exchanges come out near the target, not at it
        assert accepted.min() > 0.6 * ACCEPTANCE, accepted
        found.append(rungs)
    assert found[0] == FIRST_RUNGS and found[1] > 12, found


def test_samples_of_a_tempered_teacher_stand_in_both_phases():
    """Chains of the cold ferromagnet alone never leave the phase that they begin in."""
    size, temperature = 60, 0.6
    m = magnetisations(declared(size, temperature))
    assert (m.min(axis=0) < -0.3).all() and (m.max(axis=0) > 0.3).all()
    exact = curie_weiss.m2(1 / temperature, size)
    chains = (m**2).mean(axis=0)
    # one number, |z| <= 4 for Student's t with 15 degrees of freedom: false alarms below 2e-3
    assert abs(chains.mean() - exact) < 4 * chains.std(ddof=1) / np.sqrt(CHAINS)
    means = m.mean(axis=0)
    assert abs(means.mean()) < 4 * means.std(ddof=1) / np.sqrt(CHAINS)
    stuck = magnetisations(declared(size, temperature, "false"))
    assert ((stuck.min(axis=0) > 0.3) | (stuck.max(axis=0) < -0.3)).mean() > 0.8


@pytest.mark.parametrize("discard", [0, 1])
def test_without_discarded_sweeps_the_first_ladder_stands(discard):
    told = study_from_text(
        'model = "boltzmann_machine"\n[train]\nmethod = "exact"\nupdates = 1\n'
        f'data = {{ source = "model", model = "sk", set = {{ N = 16 }}, samples = 4, '
        f"discard = {discard}, tempering = true }}\n"
    ).train.data
    np.testing.assert_allclose(
        sampler_of(told)[0].coefficients.beta, np.linspace(1.0, 0.0, FIRST_RUNGS)
    )
