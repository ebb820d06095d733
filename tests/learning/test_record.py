"""What is recorded against training age, held against its definitions and against exact values."""

from dataclasses import replace

import numpy as np
import pytest
from learning_models import FAMILIES, declared, family, rbm, some_visibles
from test_train import CHAIN_RECIPES, enumerated_data, small_recipe, trainer_of

from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Recipe
from physebm.learning.record import Record, summary_line
from physebm.learning.record_moments import MomentRecord
from physebm.learning.record_names import recorded_names
from physebm.learning.record_weights import leading_modes, weight_matrices
from physebm.model.energy import reduced_potential
from physebm.observables.spectra import mode_magnetisations
from physebm.storage.training import training_dataset
from physebm.theory.enumeration import enumerate_states


def parts_of(loaded, data, weights=None):
    n = len(next(iter(data.values())))
    weights = np.full(n, 1.0 / n) if weights is None else weights
    return {"train": (data, weights), "test": (some_visibles(loaded, 9, 5), np.full(9, 1 / 9))}


def started(name, recipe, samples=40, tau_sweeps=12):
    loaded = family(name) if isinstance(name, str) else name
    data = some_visibles(loaded, samples)
    trainer = trainer_of(loaded, data, recipe)
    return trainer, Record(trainer, parts_of(loaded, data), 5, tau_sweeps)


def assert_equal(a, b):
    assert list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], name)


METHODS = [*CHAIN_RECIPES, "exact", "pseudo-likelihood", "tap"]


def recipe_for(method):
    if method in CHAIN_RECIPES:
        return small_recipe(method)
    return Recipe(method=method, updates=1 if method == "tap" else 12, rate=Schedule(0.05))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["boltzmann machine", "potts x gaussian", "deep"])
def test_all_ages_record_the_same_known_names(name, method):
    if method in ("pseudo-likelihood", "tap") and name != "boltzmann machine":
        return
    trainer, record = started(name, recipe_for(method))
    ages = [record.measure()]
    for update in (1,) if method == "tap" else (1, 4):
        trainer.run(update)
        ages.append(record.measure())
    assert all(list(age) == list(ages[0]) for age in ages)
    histories = {n: np.stack([age[n] for age in ages]) for n in ages[0]}
    ds = training_dataset({}, [0, 1, 4][: len(ages)], histories)
    assert set(histories) == set(ds.data_vars)
    hamiltonian = trainer.problem.hamiltonian
    known = set(recorded_names(hamiltonian, method, record.parts, 12))
    unlisted = {f"moment3_{tail}" for tail in ("rms", "pearson", "noise")} - set(histories)
    assert known - unlisted == set(histories) and (not unlisted or (name, method) == ("deep", "exact"))
    assert all(v.attrs["definition"] and v.attrs["long_name"] for v in ds.data_vars.values())
    assert len(summary_line(ages[-1])) > 10


@pytest.mark.parametrize("method", CHAIN_RECIPES)
@pytest.mark.parametrize("name", ["bernoulli x ising", "deep"])
def test_recording_never_changes_the_training(name, method):
    trainer, record = started(name, small_recipe(method))
    alone, _ = started(name, small_recipe(method))
    for update in (0, 3, 6):
        trainer.run(update)
        before = {key: np.array(x) for key, x in trainer.checkpoint().items()}
        record.measure()
        assert_equal(before, {key: np.array(x) for key, x in trainer.checkpoint().items()})
    alone.run(9)
    trainer.run(9)
    assert_equal(trainer.checkpoint(), alone.checkpoint())


@pytest.mark.parametrize("method", CHAIN_RECIPES)
def test_a_resumed_training_records_the_same_bits(method):
    trainer, record = started("potts x gaussian", small_recipe(method))
    trainer.run(5)
    record.measure()
    second, other = started("potts x gaussian", small_recipe(method))
    second.restore({key: np.array(x) for key, x in trainer.checkpoint().items()})
    a, b = record.measure(), other.measure()
    assert_equal(a, b)


@pytest.mark.parametrize("name", [n for n in FAMILIES if "truncated" not in n])
def test_at_the_truth_moments_and_likelihood_are_exact(name):
    """Exact model averages against the enumerated distribution as data; Gaussian data by sampling."""
    loaded = family(name)
    H = loaded.hamiltonian
    if H.counted[0].prior.discrete and len(H.groups) == 1:
        data, p = enumerated_data(loaded, seed=3)
    else:
        data, p = some_visibles(loaded, 50), np.full(50, 1 / 50)
    trainer = trainer_of(loaded, data, Recipe(method="exact", initial_fields="declared"), p)
    record = Record(trainer, {"train": (data, p)}, 5)
    found = record.measure()
    exact = enumerate_states(H, trainer.params, loaded.coefficients([1.0]))
    assert found["log_z"] == pytest.approx(exact.log_z[0], rel=1e-12)
    if len(H.groups) == 1 and H.counted[0].prior.discrete:
        entropy = -p @ np.log(p)
        assert found["log_likelihood_train"] == pytest.approx(-entropy, rel=1e-10)
        assert found["moment1_rms"] < 1e-10 and found["moment2_rms"] < 1e-5
        assert found["moment3_rms"] < 1e-5
        if name != "p-spin":  # whose covariances all vanish
            assert found["moment2_pearson"] == pytest.approx(1.0, abs=1e-6)
        return
    (group,) = H.counted
    q = group.prior.features
    x = data[group.name]
    rows = (x[..., None] == np.arange(q)).reshape(50, -1) if q > 1 else x
    mean = exact.mean(group.name)[0].ravel()
    error = np.sqrt(np.mean((rows.mean(axis=0) - mean) ** 2))
    assert found["moment1_rms"] == pytest.approx(error, rel=1e-9)
    hidden = [g.name for g in H.groups if not g.visible]
    for h in hidden:
        np.testing.assert_allclose(found[f"hidden_mean_{h}"], exact.mean(h)[0], rtol=1e-9)
    if q == 1 and exact.order is not None:
        # second moments, whichever side was summed out
        pair = exact.pair(group.name, group.name)[0] - np.outer(mean, mean)
        C = np.cov(x.T, bias=True)
        i, j = np.triu_indices(group.size, 0 if not group.prior.discrete else 1)
        error = np.sqrt(np.mean((C[i, j] - pair[i, j]) ** 2))
        assert found["moment2_rms"] == pytest.approx(error, rel=1e-4)


def test_order_parameters_of_the_chains_are_their_definitions():
    trainer, record = started("bernoulli x ising", small_recipe("pcd"))
    trainer.run(7)
    found = record.measure()
    problem = trainer.problem
    H = replace(
        problem.hamiltonian,
        groups=tuple(replace(g, integrated=not g.visible) for g in problem.hamiltonian.groups),
    )
    v = trainer.chains.configurations()["v"]

    def potential(params):
        return reduced_potential(H, params, problem.coefficients, {"v": v})[:, 0]

    u, old = potential(trainer.params), potential(trainer.previous)
    assert found["chain_energy"] == pytest.approx(u.mean() / 4, rel=1e-12)
    assert found["chain_energy_variance"] == pytest.approx(u.var() / 4, rel=1e-9)
    w = np.exp(old - u)
    assert found["ess_fraction"] == pytest.approx(w.sum() ** 2 / (w @ w) / len(u), rel=1e-10)
    s = 2.0 * v - 1
    assert found["chain_magnetisation"] == pytest.approx(s.mean())
    assert found["chain_abs_magnetisation"] == pytest.approx(np.abs(s.mean(axis=1)).mean())
    q = (s @ s.T / 4)[np.triu_indices(len(s), 1)]
    assert found["replica_overlap"] == pytest.approx(q.mean())
    assert found["replica_overlap_squared"] == pytest.approx(np.mean(q**2))
    data = 2.0 * problem.data["v"] - 1
    assert found["data_overlap"] == pytest.approx((s @ data.T / 4).max(axis=1).mean())
    of_data = reduced_potential(H, trainer.params, problem.coefficients, dict(problem.data))[:, 0]
    assert found["data_energy"] == pytest.approx(of_data.mean() / 4, rel=1e-12)


def test_spectra_and_modes_are_their_definitions():
    trainer, record = started("bernoulli x ising", small_recipe("pcd"))
    trainer.run(7)
    found = record.measure()
    W = trainer.params.arrays["W"][0]
    u, s, _ = np.linalg.svd(W, full_matrices=False)
    np.testing.assert_allclose(found["singular_values_W"], s, rtol=1e-12)
    assert found["weight_norm_W"] == pytest.approx(np.sqrt((W**2).sum()))
    assert found["weight_norm_v_h"] == pytest.approx(np.linalg.norm(trainer.params.arrays["v_h"]))
    expected = (W**2).sum(axis=0) ** 2 / (W**4).sum(axis=0)
    np.testing.assert_allclose(found["weight_participation_W"], expected, rtol=1e-12)
    data = trainer.problem.data["v"]
    centre = data.mean(axis=0)
    for suffix, x in (("", trainer.chains.configurations()["v"]), ("_data", data)):
        m = mode_magnetisations(x, u, centre)
        squares = found[f"mode_magnetisation_W{suffix}"]
        np.testing.assert_allclose(squares, (m**2).mean(axis=0), rtol=1e-4)
    vectors = np.linalg.eigh(np.cov(data.T, bias=True))[1][:, ::-1]
    np.testing.assert_allclose(found["mode_alignment_W"], np.abs(u.T @ vectors), atol=1e-4)


def test_hidden_units_by_hand():
    trainer, record = started("bernoulli x bernoulli", small_recipe("pcd"))
    trainer.run(7)
    found = record.measure()
    arrays = {name: x[0] for name, x in trainer.params.arrays.items()}

    def means(v):
        return 1 / (1 + np.exp(-(0.7 * v @ arrays["W"] + 1.3 * arrays["h_h"])))

    chains, data = (means(x["v"]) for x in (trainer.chains.configurations(), trainer.problem.data))
    np.testing.assert_allclose(found["hidden_mean_h"], chains.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["hidden_mean_h_data"], data.mean(axis=0), rtol=1e-5)
    active = (data**3).sum(axis=1) ** 2 / (data**6).sum(axis=1)
    assert found["hidden_participation_h"] == pytest.approx(active.mean(), rel=1e-5)


@pytest.mark.parametrize("name", ["potts x potts", "potts machine", "ising x potts", "potts x ising"])
def test_spectra_do_not_depend_on_the_gauge(name):
    loaded = family(name)
    H, params = loaded.hamiltonian, loaded.params(3)
    slot = "J" if name == "potts machine" else "W"
    J = params.arrays[slot]
    rng = np.random.Generator(np.random.PCG64(3))
    if name == "potts machine":
        shift = rng.normal(size=(1, 4, 4, 3, 1))
        shift[:, range(4), range(4)] = 0.0
        moved = J + shift + shift.transpose(0, 2, 1, 4, 3)
    elif name == "potts x potts":
        moved = J + rng.normal(size=(1, 4, 3, 3, 1)) + rng.normal(size=(1, 4, 3, 1, 3))
    else:
        moved = J + rng.normal(size=(1, 4, 3, 1))
    (weight,) = weight_matrices(H, (slot,))

    def spectrum(values):
        blocks = weight.blocks(params.with_arrays(**{slot: values}))
        n, f, m, g = weight.shape
        return leading_modes(weight, blocks.reshape(n * f, m * g)), blocks

    (a, blocks), (b, _) = spectrum(J), spectrum(moved)
    np.testing.assert_allclose(a.values, b.values, rtol=1e-10)
    full = np.linalg.svd(blocks.reshape(a.visible.shape[0], -1), compute_uv=False)
    np.testing.assert_allclose(a.values, full[: len(a.values)], rtol=1e-10)
    np.testing.assert_allclose(full[len(a.values) :], 0.0, atol=1e-12)
    assert weight.side == H.counted[0].name


def test_arrays_are_turned_to_the_visible_side():
    text = """
[units]
h = { prior = "bernoulli", shape = 2 }
v = { prior = "potts", q = 3, shape = 4, visible = true }
[arrays]
W = { law = "normal", std = 0.8, shape = [2, 4, 3], trainable = true }
xi = { law = "normal", std = 0.8, shape = [2, 4, 3], trainable = true }
b = { law = "normal", std = 0.8, shape = 2, trainable = true }
[[terms]]
couple = ["h", "v"]
J = "W"
[[terms]]
couple = ["v", "v"]
patterns = "xi"
[[terms]]
field = "h"
h = "b"
"""
    loaded = declared(text)
    H, params = loaded.hamiltonian, loaded.params(1)
    both = weight_matrices(H, ("W", "xi", "b"))
    assert [w.name for w in both] == ["W", "xi"]
    for weight in both:
        assert weight.side == "v" and weight.shape == (4, 3, 2, 1)
        A = params.arrays[weight.name][0]
        blocks = weight.blocks(params)
        for h in range(2):
            expected = A[h] - A[h].mean(axis=-1, keepdims=True)
            np.testing.assert_allclose(blocks[:, :, h, 0], expected, rtol=1e-12)


def test_eigenvectors_stand_for_singular_vectors_of_symmetric_couplings():
    """Eigenvalues of opposite sign share a singular value: only eigenvectors single out modes."""
    loaded = family("boltzmann machine")
    (weight,) = weight_matrices(loaded.hamiltonian, ("J",))
    J = np.zeros((5, 5))
    J[0, 1] = J[1, 0] = 2.0  # eigenvalues +2 and -2
    J[2, 3] = J[3, 2] = -0.5
    modes = leading_modes(weight, J)
    np.testing.assert_allclose(modes.values, [2.0, 2.0, 0.5, 0.5, 0.0], atol=1e-14)
    np.testing.assert_allclose(modes.visible * modes.values @ modes.hidden.T, J, atol=1e-14)
    np.testing.assert_allclose(np.abs(modes.visible[:2, :2]), np.sqrt(0.5))


def two_spins(coupling):
    """v - h with one coupling: v alone is a chain that keeps tanh(J)^2 of itself per sweep."""
    return declared(
        f"""
[units]
v = {{ prior = "ising", shape = 1, visible = true }}
h = {{ prior = "ising", shape = 1 }}
[arrays]
W = {{ values = [[{coupling}]], trainable = true }}
[[terms]]
couple = ["v", "h"]
J = "W"
"""
    )


def coin(loaded, recipe, tau_sweeps=300):
    data = {"v": np.array([[1], [-1]] * 20)}
    trainer = trainer_of(loaded, data, recipe)
    return trainer, Record(trainer, {"train": (data, np.full(40, 1 / 40))}, 5, tau_sweeps)


@pytest.mark.parametrize("coupling", [0.3, 1.2, 1.8])
def test_autocorrelation_time_is_the_exact_one(coupling):
    """300 chains, pinned seed: |z| <= 4."""
    recipe = Recipe(method="pcd", chains=ChainOptions("pcd", 1, 300), initial_fields="declared")
    _, record = coin(two_spins(coupling), recipe)
    found = record.measure()
    kept = np.tanh(coupling) ** 2
    expected = 0.5 * (1 + kept) / (1 - kept)
    assert abs(found["chain_tau"] - expected) <= 4 * found["chain_tau_stderr"] + np.exp(-6) * expected
    assert found["chain_tau_stderr"] < 0.06 * expected
    assert found["chain_tau_reliable"] == 1


def test_a_tempered_ladder_forgets_faster():
    """The whole ladder runs: its hottest rung is free, so that tau is far below that of one chain."""
    coupling = 2.6
    recipe = Recipe(
        method="pt",
        chains=ChainOptions("pt", 1, 200, rungs=4, hottest=0.0),
        initial_fields="declared",
    )
    trainer, record = coin(two_spins(coupling), recipe)
    found = record.measure()
    kept = np.tanh(coupling) ** 2
    alone = 0.5 * (1 + kept) / (1 - kept)  # 46 sweeps
    assert found["chain_tau"] < 0.3 * alone
    assert 0.3 < found["swap_acceptance_lowest"] <= found["swap_acceptance"] < 1.0
    energies = trainer.chains.kernels.energies(
        trainer.chains.state.configurations, trainer.chains.state.lanes, trainer.chains.inner.launch
    )[:, 0].reshape(200, 4)
    factors = np.linspace(1, 0, 4)
    work = (factors[:-1] - factors[1:]) * (energies[:, :-1] - energies[:, 1:])
    assert found["swap_acceptance"] == pytest.approx(np.minimum(1, np.exp(work)).mean(), rel=1e-6)


def test_verdicts_tell_chains_that_follow_from_chains_that_do_not():
    """Large steps at k = 1 in a slow model, small steps in a fast one; fresh chains likewise."""
    slow, fast = two_spins(2.5), rbm("ising", "ising", 6, 3, std=0.1)

    def verdict(loaded, method, k, rate):
        chains = ChainOptions(method, k, 300)
        recipe = Recipe(method=method, chains=chains, rate=Schedule(rate), initial_fields="declared")
        data = some_visibles(loaded, 200, seed=4)
        if loaded is slow:
            data = {"v": np.array([[1]] * 190 + [[-1]] * 10)}
        trainer = trainer_of(loaded, data, recipe)
        n = len(data["v"])
        record = Record(trainer, {"train": (data, np.full(n, 1 / n))}, 5, 200)
        before = record.measure()
        # chains that never ran are not judged, nor is their spread taken for the model's
        assert before["chain_verdict"] == 3 and before["chain_verdict_message"] == ""
        assert np.isnan(before["chain_lag"]) and np.isnan(before["ess_fraction"])
        assert np.isnan(before["moment1_noise"])
        trainer.run(5)
        return record.measure()

    assert verdict(fast, "pcd", 5, 0.001)["chain_verdict"] == 0
    assert verdict(fast, "rdm", 20, 0.001)["chain_verdict"] == 0
    away = verdict(slow, "cd", 1, 0.001)
    assert away["chain_verdict"] > 0 and away["chain_lag"] > 0.5
    assert "lag" in str(away["chain_verdict_message"]) or "do not" in str(away["chain_verdict_message"])


def test_without_a_frozen_run_there_is_no_verdict():
    trainer, record = started("bernoulli x ising", small_recipe("pcd"), tau_sweeps=0)
    trainer.run(2)
    found = record.measure()
    assert not {"chain_tau", "chain_verdict"} & set(found)
    hamiltonian = trainer.problem.hamiltonian
    assert set(found) == set(recorded_names(hamiltonian, "pcd", record.parts, 0))
    assert "ess_fraction" in found


def test_the_few_numbers_of_live_progress():
    found = {
        "log_likelihood_train": np.array(-4.4865),
        "pseudo_log_likelihood_train": np.array(-3.2),
        "moment2_pearson": np.array(0.9812),
        "chain_tau": np.array(12.3),
        "gradient_norm": np.array(0.5),
    }
    assert summary_line(found) == "ll -4.487  moments 0.981  tau 12.3"
    del found["log_likelihood_train"]
    found["pseudo_log_likelihood_test"] = np.array(-3.31)
    found["chain_tau"] = np.array(np.nan)
    assert summary_line(found) == "pl -3.2 (test -3.31)  moments 0.981"
    assert summary_line({"gradient_norm": np.array(0.012)}) == "gradient 0.012"


def test_the_noise_of_moments_counts_independent_samples():
    """Every sample four times: the moments stay, their noise is that of a quarter of the rows."""
    loaded = family("boltzmann machine")
    data = some_visibles(loaded, 100, 4)
    n = len(next(iter(data.values())))
    repeated = {name: np.repeat(x, 4, axis=0) for name, x in data.items()}
    one = MomentRecord(loaded.hamiltonian, data, np.full(n, 1 / n), 3)
    naive = MomentRecord(loaded.hamiltonian, repeated, np.full(4 * n, 0.25 / n), 3)
    four = MomentRecord(loaded.hamiltonian, repeated, np.full(4 * n, 0.25 / n), 3, float(n))
    model = one.of_chains(some_visibles(loaded, 50, 5))
    for name in ("moment1_noise", "moment2_noise"):
        assert four.match(model)[name] == pytest.approx(one.match(model)[name], rel=0.02)
        assert naive.match(model)[name] < 0.95 * one.match(model)[name]
