"""log Z along trainings against enumeration: annealed, tracked, what either is worth, resuming."""

import numpy as np
import pytest
from learning.trained_problems import assert_family, trainer_at
from learning_models import family, rbm, some_visibles

from physebm.backends.select import select
from physebm.errors import StudyError
from physebm.free_energy.estimate import Verdict
from physebm.free_energy.exact import exact_log_z
from physebm.free_energy.likelihood import log_likelihood, visible_potential
from physebm.learning.chains import ChainOptions
from physebm.learning.optimisers import Schedule
from physebm.learning.recipe import Recipe
from physebm.learning.record_likelihood import LikelihoodRecord, likelihood_names, tracked_findings
from physebm.learning.tracking import BLOCKS, Annealing, Tracker
from physebm.model.conditionals import Conditionals
from physebm.observables.reweighting import log_mean_exp

SMALL = Annealing(chains=160, temperatures=40, resample=0.8)
FEWER = Annealing(chains=120, temperatures=40, resample=0.8)  # in the plan of the training's chains
PCD = ChainOptions("pcd", 2, 100)


def prototypes(units: int = 8, samples: int = 200, flip: float = 0.05) -> dict[str, np.ndarray]:
    """Noisy copies of two opposite binary vectors, in equal parts."""
    rng = np.random.default_rng(5)
    first = rng.integers(0, 2, units)
    rows = np.where(np.arange(samples)[:, None] % 2, first, 1 - first)
    return {"v": np.where(rng.random(rows.shape) < flip, 1 - rows, rows).astype(np.int8)}


def training(seed: int, rate: float, options=SMALL, chains=PCD, loaded=None, data=None, **more):
    """A trainer of a small machine and what records its likelihoods."""
    loaded = loaded or rbm("bernoulli", "bernoulli", 8, 5, std=0.2)
    data = data or prototypes()
    made = {"method": chains.method, "chains": chains, "updates": 1000, "rate": Schedule(rate), **more}
    trainer = trainer_at(loaded, loaded.params(seed), data, Recipe(**made), seed=seed)
    tracker = Tracker(trainer, options, select("numba"), seed)
    few = {name: x[:20] for name, x in data.items()}
    parts = {"train": (data, trainer.problem.weights), "test": (few, np.full(20, 0.05))}
    return trainer, LikelihoodRecord(tracker, parts)


def go(trainer, record, until: int) -> None:
    while trainer.update < until:
        trainer.run(trainer.update + 1)
        record.tracker.follow()


def exact(trainer) -> float:
    problem = trainer.problem
    return float(exact_log_z(problem.hamiltonian, trainer.params, problem.coefficients, "exact")[0])


def test_both_estimates_are_those_of_the_enumeration_along_a_training():
    """40 pulls each; the tracked ones of a seed share walkers, so that they are fewer in effect."""
    pulls: dict[str, list[float]] = {"ais": [], "tracked": []}
    bracketed, moved, resamplings = [], [], 0
    for seed in range(10):
        trainer, record = training(seed, 0.3)
        start = exact(trainer)
        for age in (0, 30, 60, 100):
            go(trainer, record, age)
            found, log_z = record.measure(), exact(trainer)
            for way, held in pulls.items():
                held.append(float((found[f"log_z_{way}"] - log_z) / found[f"log_z_{way}_stderr"]))
            slack = 4.0 * found["log_z_ais_stderr"]
            bracketed.append(found["log_z_ais_low"] - slack < log_z < found["log_z_ais_high"] + slack)
            assert set(found) == set(likelihood_names(("train", "test"), flat=True))
        moved.append(abs(log_z - start))
        resamplings += record.tracker.resamplings
    assert np.median(moved) > 1.0 and resamplings > 100 and all(bracketed)
    for held in pulls.values():
        assert_family(held)


def test_log_likelihoods_are_those_of_the_data_at_the_estimated_log_z():
    trainer, record = training(3, 0.2)
    go(trainer, record, 20)
    found, problem = record.measure(), trainer.problem
    conditionals = Conditionals(problem.hamiltonian, problem.row, trainer.params, np.float64)
    for way in ("ais", "tracked"):
        for part, (data, weights) in record.parts.items():
            value = log_likelihood(conditionals, data, weights, ("h",), found[f"log_z_{way}"])
            assert found[f"log_likelihood_{way}_{part}"] == pytest.approx(value, rel=1e-12)
            assert found[f"log_likelihood_{way}_{part}_stderr"] == found[f"log_z_{way}_stderr"]


@pytest.mark.parametrize(
    "name", ["gaussian x bernoulli", "bernoulli x truncated_gaussian", "potts x ising", "deep"]
)
def test_models_of_every_kind_are_tracked(name):
    """Couplings, fields and variances that move; deep machines by whole configurations."""
    loaded = family(name)
    pulls, moved = [], []
    for seed in range(3):
        data = some_visibles(loaded, 50, seed)
        trainer, record = training(seed, 0.1, FEWER, loaded=loaded, data=data)
        before = exact(trainer)
        go(trainer, record, 15)
        found, log_z = record.measure(), exact(trainer)
        moved.append(abs(log_z - before) / found["log_z_tracked_stderr"])
        pulls += [
            float((found[f"log_z_{w}"] - log_z) / found[f"log_z_{w}_stderr"])
            for w in ("ais", "tracked")
        ]
        bound = "log_likelihood_bound_ais_train" in found
        assert bound == (name == "deep")
        assert set(found) == set(likelihood_names(("train", "test"), flat=not bound))
    assert max(moved) > 4.0
    assert_family(pulls)


@pytest.mark.parametrize("method", ["cd", "pt", "rdm", "pseudo-likelihood"])
def test_trainings_with_chains_of_any_kind_or_none_are_tracked(method):
    loaded, data = None, None
    chains = ChainOptions(method, 2, 200 if method == "cd" else 50, rungs=4)
    more = {}
    if method == "pseudo-likelihood":
        loaded = family("boltzmann machine")
        data, chains, more = some_visibles(loaded, 50), PCD, {"method": method}
    trainer, record = training(1, 0.1, chains=chains, loaded=loaded, data=data, **more)
    go(trainer, record, 25)
    found, log_z = record.measure(), exact(trainer)
    for way in ("ais", "tracked"):
        assert abs(found[f"log_z_{way}"] - log_z) <= 4 * found[f"log_z_{way}_stderr"]
        assert found[f"log_z_{way}_verdict"] == Verdict.TRUSTED


def test_the_gauge_that_is_entered_changes_log_z_and_is_followed():
    loaded = family("potts machine")
    trainer, record = training(
        2, 0.02, loaded=loaded, data=some_visibles(loaded, 50), gauge="lattice-gas"
    )
    before = exact(trainer)
    go(trainer, record, 2)
    found = record.tracker.log_z()
    assert abs(exact(trainer) - before) > 10 * found.stderr
    assert abs(found.value - exact(trainer)) <= 4 * found.stderr


def test_chains_that_the_gradient_reads_would_be_biased():
    """By ``rate / n sum_a Var(phi_a)`` per update; what follows beside them is not."""
    rate, updates, n = 0.02, 150, 100
    trainer, record = training(4, rate, chains=ChainOptions("pcd", 5, n))
    problem, hidden = trainer.problem, trainer.phases.hidden
    log_w, start, expected = np.zeros(n), exact(trainer), 0.0

    def double(params):
        return Conditionals(problem.hamiltonian, problem.row, params, np.float64)

    for _ in range(updates):
        trainer.run(trainer.update + 1)
        record.tracker.follow()
        v = {"v": trainer.chains.configurations()["v"]}
        old, new = double(trainer.previous), double(trainer.params)
        log_w += visible_potential(old, v, hidden) - visible_potential(new, v, hidden)
        known = old.states(v)
        h = old.moments("h", old.field("h", known)).first
        x = v["v"].astype(float)
        products = 0.7 * (x[:, :, None] * h[:, None, :]).reshape(n, -1)
        expected -= (
            rate
            / n
            * (
                products.var(axis=0, ddof=1).sum()
                + 1.69 * (x.var(axis=0, ddof=1).sum() + h.var(axis=0, ddof=1).sum())
            )
        )
    found = record.tracker.log_z()
    bias = start + log_mean_exp(log_w) - exact(trainer)
    assert abs(found.value - exact(trainer)) <= 4 * found.stderr
    assert bias == pytest.approx(expected, rel=0.2) and abs(bias) > 10 * found.stderr


def test_the_training_does_not_notice():
    tracked, record = training(5, 0.3)
    go(tracked, record, 30)
    record.measure()
    alone, _ = training(5, 0.3)
    alone.run(30)
    assert record.tracker.resamplings > 0
    for slot in alone.slots:
        np.testing.assert_array_equal(tracked.params.arrays[slot], alone.params.arrays[slot])


@pytest.mark.parametrize("at", [0, 13, 40])
def test_what_is_resumed_has_the_same_bits(at):
    whole, record = training(6, 0.3)
    go(whole, record, 45)
    first, half = training(6, 0.3)
    go(first, half, at)
    held = {n: np.array(x) for n, x in {**first.checkpoint(), **_marked(half.tracker)}.items()}
    second, rest = training(6, 0.3)
    second.restore(held)
    rest.tracker.restore({n.removeprefix("t/"): x for n, x in held.items() if n.startswith("t/")})
    go(second, rest, 45)
    assert record.tracker.resamplings > 0
    a, b = record.measure(), rest.measure()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)


def _marked(tracker):
    return {f"t/{name}": x for name, x in tracker.checkpoint().items()}


def test_resampling_copies_in_blocks_and_keeps_log_z():
    tracker = training(7, 0.1)[1].tracker
    tracker.begin()
    before = {n: x.copy() for n, x in tracker._chains.configurations().items()}
    tracker.log_w[:] = np.where(np.arange(160) % 10 == 3, 2.0, -3.0)
    tracker.log_w[:10] = 0.7
    held = tracker.block_log_z()
    tracker._resample()
    assert tracker.resamplings == BLOCKS - 1 and (tracker.log_w[10:] == 0.0).all()
    np.testing.assert_allclose(tracker.block_log_z(), held, rtol=1e-14)
    after = tracker._chains.configurations()
    for name, x in before.items():
        np.testing.assert_array_equal(after[name][:10], x[:10])
        heavy = np.repeat(x[13::10], 10, axis=0)
        assert (after[name][10:] == heavy).all(axis=1).mean() > 0.9


def test_without_resampling_weights_are_carried_to_the_end():
    options = Annealing(chains=160, temperatures=40, resample=0.0)
    trainer, record = training(8, 0.3, options)
    go(trainer, record, 60)
    found = record.tracker.log_z()
    assert record.tracker.resamplings == 0 and record.tracker.effective() < 0.9
    assert abs(found.value - exact(trainer)) <= 4 * found.stderr


def test_chains_that_lag_are_found():
    """Chains that stick at a large rate: the reverse from them parts from the forward walk."""
    data = prototypes(12, 200, 0.02)
    loaded = rbm("bernoulli", "bernoulli", 12, 6, std=0.2)
    chains = ChainOptions("pcd", 1, 100)
    for seed in range(3):
        trainer, record = training(seed, 1.0, chains=chains, loaded=loaded, data=data)
        go(trainer, record, 50)
        found = record.measure()
        assert found["log_z_ais_verdict"] != Verdict.TRUSTED
        assert "reverse and forward differ" in str(found["log_z_ais_verdict_message"])
        assert found["log_z_tracked_verdict"] != Verdict.TRUSTED
        assert "blocks of walkers" in str(found["log_z_tracked_verdict_message"])
        trainer, record = training(seed, 0.1, chains=chains, loaded=loaded, data=data)
        go(trainer, record, 100)
        found = record.measure()
        assert found["log_z_ais_verdict"] == found["log_z_tracked_verdict"] == Verdict.TRUSTED
        assert found["log_z_ais_verdict_message"] == found["log_z_tracked_verdict_message"] == ""


@pytest.mark.parametrize("lost", [False, True], ids=["both are in doubt", "walkers were lost before"])
def test_estimates_that_differ_are_found(lost):
    trainer, record = training(9, 0.1)
    go(trainer, record, 5)
    assert tracked_findings(record.tracker.log_z()) == []
    record.tracker.totals += 1.0
    if lost:
        record.tracker.totals += np.arange(BLOCKS)
    found = record.measure()
    assert found["tracked_difference"] > 4 * found["tracked_difference_stderr"] or lost
    assert found["log_z_tracked_verdict"] == (Verdict.FAILED if lost else Verdict.SUSPECT)
    assert found["log_z_ais_verdict"] == (Verdict.TRUSTED if lost else Verdict.SUSPECT)
    for way in ("ais", "tracked") if not lost else ():
        assert "tracked and annealed log Z differ by 1" in str(found[f"log_z_{way}_verdict_message"])


def test_an_annealing_that_breaks_off_is_a_failed_estimate_and_no_failed_training(monkeypatch):
    def broken(self):
        raise StudyError("a weight that is not finite")

    monkeypatch.setattr(LikelihoodRecord, "estimate", broken)
    trainer, record = training(11, 0.1)
    go(trainer, record, 3)
    found = record.measure()
    assert set(found) == set(likelihood_names(("train", "test"), flat=True))
    assert np.isnan(found["log_z_ais"]) and np.isnan(found["log_likelihood_ais_train"])
    assert found["log_z_ais_verdict"] == Verdict.FAILED
    assert "not finite" in str(found["log_z_ais_verdict_message"])
    assert found["log_z_tracked_verdict"] == Verdict.TRUSTED


def test_walkers_without_weight_count_for_nothing(monkeypatch):
    """A block whose walkers all lost theirs has Z = 0, and the verdict knows."""
    trainer, record = training(12, 0.1)
    go(trainer, record, 3)
    tracker, potential = record.tracker, Tracker._potential

    def holed(self, params, states):
        u = potential(self, params, states)
        if params is trainer.params:
            u[:10], u[10:13] = np.nan, np.inf
        return u

    monkeypatch.setattr(Tracker, "_potential", holed)
    go(trainer, record, 4)
    held = tracker.block_log_z()
    assert held[0] == -np.inf and np.isfinite(held[1:]).all()
    found = record.measure()
    assert np.isfinite(found["log_z_tracked"]) and found["log_z_tracked_verdict"] != Verdict.TRUSTED


def test_ages_without_annealing_hold_the_tracked_estimate_alone():
    trainer, record = training(10, 0.1)
    record = LikelihoodRecord(record.tracker, record.parts, annealed_at=[0, 4])
    for age in (0, 2, 4):
        go(trainer, record, age)
        found = record.measure()
        asked = age != 2
        assert set(found) == set(likelihood_names(("train", "test"), flat=True))
        for name in ("log_z_ais", "log_likelihood_ais_test", "log_likelihood_ais_test_stderr"):
            assert np.isfinite(found[name]) == asked
        assert np.isfinite(found["tracked_difference"]) == asked
        assert found["log_z_ais_verdict"] == (0 if asked else 3)
        assert np.isfinite(found["log_likelihood_tracked_test"])
