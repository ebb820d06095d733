"""Whole studies against exact enumeration: definitions, normalisations and error bars, end to end.

Family rule over all numbers of a study: max |z| <= 4.5 and, from forty numbers on, mean z^2 in
[0.5, 1.6]; seeds are pinned. A correct study breaks the first bound with probability below 1e-3.
"""

import numpy as np
import pytest
from study_files import write

import physebm
from physebm.observables.overlap import overlap_values
from physebm.storage.netcdf import open_summary
from physebm.study.runner import run_study
from physebm.theory.enumeration import enumerate_states

TEMPERATURES = [0.7, 1.0, 1.6, 2.5]


def exact_of(model, temperatures=TEMPERATURES, seed=0, realisation=0):
    params = model.params(seed, realisation)
    return enumerate_states(model.hamiltonian, params, model.coefficients(temperatures))


def deviations(result, truths):
    z = []
    for name, truth in truths.items():
        stderr = result[f"{name}_stderr"].values
        z.append(((result[name].values - truth) / stderr).ravel())
    return np.concatenate(z)


def assert_family(z):
    assert np.isfinite(z).all()
    assert np.abs(z).max() <= 4.5, np.round(z, 1)
    if len(z) >= 40:
        assert 0.5 <= np.mean(z**2) <= 1.6, np.mean(z**2)


def test_thermal_and_magnetic_observables_of_an_ising_lattice():
    model = physebm.load_model("ising_2d", L=3, h=0.1)
    warm = [2.3, 3.0, 4.0, 6.0]
    record = [
        "energy",
        "specific_heat",
        "specific_heat_within_chains",
        "magnetisation",
        "abs_magnetisation",
        "susceptibility",
        "binder",
    ]
    exact = exact_of(model, warm)
    m, abs_m, m2, m4 = exact.order.T
    beta, n = exact.beta, 9
    truths = {
        "energy": exact.energy,
        "specific_heat": exact.specific_heat,
        "specific_heat_within_chains": exact.specific_heat,
        "magnetisation": m,
        "abs_magnetisation": abs_m,
        "susceptibility": beta * n * (m2 - abs_m**2),
        "binder": 1 - m4 / (3 * m2**2),
    }
    z = [
        deviations(physebm.sample(model, warm, record=record, sweeps=8000, every=4, seed=s), truths)
        for s in (1, 2)
    ]
    assert_family(np.concatenate(z))


@pytest.mark.parametrize("tempering", [None, {"every": 2}], ids=["plain", "tempered"])
def test_overlaps_of_a_spin_glass(tempering):
    model = physebm.load_model("sk", N=8)
    record = ["energy", "specific_heat", "replica_overlap_squared"]
    exact = exact_of(model)
    pair = exact.pair("s", "s")
    q2 = (pair**2).sum(axis=(1, 2)) / 64
    result = physebm.sample(
        model, TEMPERATURES, record=[*record, "overlap_distribution", "binder_overlap"],
        chains=4, sweeps=8000, every=4, tempering=tempering,
    )  # fmt: skip
    truths = {
        "energy": exact.energy,
        "specific_heat": exact.specific_heat,
        "replica_overlap_squared": q2,
    }
    assert_family(deviations(result, truths))
    histogram = result.overlap_distribution.values
    np.testing.assert_allclose(histogram.sum(axis=-1), 1.0, rtol=1e-12)
    second = (histogram * overlap_values(8) ** 2).sum(axis=-1)
    np.testing.assert_allclose(second, result.replica_overlap_squared.values, rtol=1e-12)


def test_sg_susceptibility_and_binder_average_the_disorder_first():
    model = physebm.load_model("sk", N=6)
    samples = 60
    result = physebm.sample(
        model, [0.8, 1.5], record=["sg_susceptibility", "binder_overlap", "replica_overlap_squared"],
        sweeps=1000, disorder=samples, seed=4,
    )  # fmt: skip
    q2, q4 = [], []
    for r in range(samples):
        exact = exact_of(model, [0.8, 1.5], 4, r)
        pair = exact.pair("s", "s")
        q2.append((pair**2).sum(axis=(1, 2)) / 36)
        four = exact.average(
            lambda x: np.einsum("li,lj,lk,lm->lijkm", *(x["s"],) * 4, optimize=True).reshape(
                len(x["s"]), -1
            )
        )
        q4.append((four**2).sum(axis=1) / 6**4)
    q2, q4 = np.array(q2), np.array(q4)
    # the error of the result contains the scatter between samples, which the exact values share
    thermal = result.replica_overlap_squared_stderr.values
    z = (result.replica_overlap_squared.values - q2) / thermal
    assert_family(z.ravel())
    np.testing.assert_allclose(result.sg_susceptibility.values, 6 * q2.mean(axis=0), rtol=0.03)
    g = (3 - q4.mean(axis=0) / q2.mean(axis=0) ** 2) / 2
    np.testing.assert_allclose(result.binder_overlap.values, g, atol=0.02)
    assert "disorder" not in result.binder_overlap.dims


def test_pattern_overlaps_of_a_hopfield_network_and_its_gaussian_form():
    for name, shift in (("hopfield", 0.0), ("hopfield_gaussian", 3 / 20)):
        model = physebm.load_model(name, N=10, P=3)
        reference = physebm.load_model("hopfield", N=10, P=3)
        exact = exact_of(reference)
        xi = reference.params(0, 0).arrays["xi"][0].astype(float)
        overlaps = exact.average(lambda x, xi=xi: np.abs(x["s"] @ xi.T / 10))
        largest = exact.average(lambda x, xi=xi: np.abs(x["s"] @ xi.T / 10).max(axis=1, keepdims=True))
        result = physebm.sample(
            model, TEMPERATURES,
            record=["energy", "specific_heat", "pattern_overlap", "max_pattern_overlap"],
            chains=4, sweeps=8000, every=4,
        )  # fmt: skip
        truths = {"energy": exact.energy - shift, "max_pattern_overlap": largest[:, 0]}
        if name == "hopfield":
            truths["specific_heat"] = exact.specific_heat
        truths["pattern_overlap"] = np.zeros_like(overlaps)
        assert_family(deviations(result, truths))


def test_potts_and_bernoulli_magnetisations():
    potts = physebm.load_model("potts_2d", L=3, q=3)
    exact = exact_of(potts)
    result = physebm.sample(
        potts, TEMPERATURES, record=["energy", "magnetisation"], sweeps=8000, every=4
    )
    assert_family(deviations(result, {"energy": exact.energy, "magnetisation": exact.order[:, 0]}))
    rbm = physebm.load_model("rbm", Nv=5, Nh=4)
    exact = exact_of(rbm)
    result = physebm.sample(rbm, TEMPERATURES, record=["energy", "magnetisation"], sweeps=8000, every=4)
    assert_family(deviations(result, {"energy": exact.energy, "magnetisation": exact.order[:, 0]}))


def test_clamped_units_leave_the_others_in_their_conditional_distribution(tmp_path):
    text = """
model = "boltzmann_machine"
seed  = 5
[set]
N = 6
temperature = 0.8
[sample]
sweeps = 8000
every  = 4
[observe]
record = ["energy", "magnetisation"]
[clamp]
v = { values = [1, -1, nan, nan, nan, 1] }
"""
    models = physebm.load_model("boltzmann_machine", N=6)
    kind = models.hamiltonian.groups[0].prior.states
    text = text.replace("-1", str(kind[0]))
    result = open_summary(run_study(write(tmp_path, text), out=tmp_path / "a.nc").result)
    exact = enumerate_states(models.hamiltonian, models.params(5, 0), models.coefficients([0.8]))
    held = {0: 1, 1: kind[0], 5: 1}

    def f(x):
        s = x["v"].astype(float)
        inside = np.all([s[:, i] == v for i, v in held.items()], axis=0).astype(float)
        spins = s if kind[0] == -1 else 2 * s - 1
        return np.stack([inside, inside * spins.mean(axis=1)], axis=1)

    norm, m = exact.average(f)[0]
    z = (result.magnetisation.item() - m / norm) / result.magnetisation_stderr.item()
    assert abs(z) <= 4
