"""Energies and entropies of fixed points: derivatives of log Z, exact values, closed forms."""

import numpy as np
import pytest
from approximations import KEY, couplings_times
from learning_models import FAMILIES, declared, family
from small_models import ZOO, loaded

from physebm.errors import LoweringError
from physebm.free_energy.bethe import Bethe, bethe_fixed_points, estimate_bethe
from physebm.free_energy.exact import summed_out
from physebm.free_energy.naive import NaiveMeanField, estimate_mean_field, fixed_points
from physebm.free_energy.tap import Tap, estimate_tap
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.terms import LowRank, Many
from physebm.theory.enumeration import enumerate_states

METHODS = {"mean-field": estimate_mean_field, "tap": estimate_tap, "bethe": estimate_bethe}
KINDS = {"mean-field": NaiveMeanField, "tap": Tap, "bethe": Bethe}
SMOOTH = 1e-4 * np.array([-2.0, -1.0, 1.0, 2.0])
FIVE = np.array([1.0, -8.0, 8.0, -1.0]) / 12e-4


def slope(values) -> float:
    """The derivative at 0 of numbers at `SMOOTH`."""
    return float(np.asarray(values) @ FIVE)


def refusal(method: str, hamiltonian: Hamiltonian) -> str:
    """What the method has to say against the model; empty where there is nothing."""
    if method == "mean-field":
        return ""
    for t, term in enumerate(hamiltonian.terms):
        if isinstance(term, Many):
            return rf'"{method}"(.|\n)*pairwise couplings(.|\n)*terms\[{t}\] couples {term.arity} units'
        if isinstance(term, LowRank):
            return rf'"{method}"(.|\n)*pairwise couplings(.|\n)*terms\[{t}\] couples .*through patterns'
    for group in hamiltonian.groups:
        if method == "bethe" and not group.prior.discrete:
            kind = group.prior.kind
            return rf'"bethe"(.|\n)*discrete units(.|\n)*units.{group.name} are {kind}'
    return ""


def pairs(names, model_of, allowed: bool):
    """Methods with the models that they take, or refuse."""
    return [
        pytest.param(method, name, id=f"{method}-{name}")
        for method in METHODS
        for name in names
        if (refusal(method, model_of(name).hamiltonian) == "") == allowed
    ]


OWN = (*FAMILIES, "deep")
REFUSED = pairs(ZOO, loaded, False), pairs(OWN, family, False)


@pytest.mark.parametrize(("method", "name"), REFUSED[0])
def test_models_beyond_a_method_are_refused_with_the_reason(method, name):
    model = loaded(name)
    with pytest.raises(LoweringError, match=refusal(method, model.hamiltonian)):
        METHODS[method](model.hamiltonian, model.params(4), model.coefficients([2.0]), KEY, random=0)


@pytest.mark.parametrize(("method", "name"), REFUSED[1])
def test_families_beyond_a_method_are_refused_with_the_reason(method, name):
    model = family(name)
    row = couplings_times(model, 0.0)
    with pytest.raises(LoweringError, match=refusal(method, model.hamiltonian)):
        METHODS[method](model.hamiltonian, model.params(6), row, KEY, random=0)


def test_both_kinds_of_refusal_are_among_the_models():
    assert [len(each) for each in REFUSED] == [9, 16]


@pytest.mark.parametrize(("method", "name"), pairs(ZOO, loaded, True))
def test_the_energy_is_the_slope_of_log_z_over_beta(method, name):
    """At every temperature, variances proportional to T included; hot enough for one phase."""
    model = loaded(name)
    params = model.params(4)
    for T in (2.0, 6.0):
        values = [
            METHODS[method](
                model.hamiltonian, params, model.coefficients([1.0 / (1.0 / T + by)]), KEY, random=2
            )
            for by in (0.0, *SMOOTH)
        ]
        log_z = [each.log_z for each in values]
        here = values[0]
        expected = -slope(log_z[1:])
        assert here.energy == pytest.approx(expected, abs=1e-6, rel=1e-6)
        table = here.diagnostics
        entropy = table["fixed_point_log_z"] + here.fixed_point_energy / T
        np.testing.assert_allclose(here.fixed_point_entropy, entropy, rtol=1e-12)


@pytest.mark.parametrize(("method", "name"), pairs(OWN, family, True))
def test_energies_of_terms_are_slopes_of_log_z_over_their_coefficients(method, name):
    """Fixed points are found anew at each coefficient, fields and precisions included."""
    model = family(name)
    params, c = model.params(6), couplings_times(model, 0.5).value[0]

    def best(coefficients):
        approximation = KINDS[method](Conditionals(model.hamiltonian, coefficients, params))
        find = bethe_fixed_points if method == "bethe" else fixed_points
        return find(approximation, KEY, random=0, tolerance=1e-13).best

    found = best(c).term_energies
    priors = [
        model.hamiltonian.prior_term(g.name) for g in model.hamiltonian.groups if not g.prior.discrete
    ]
    for t in range(len(c)):
        if t in priors:
            # the prior's own normaliser moves too: d u / d c = E - n / (2 c), truncated ones not tested
            continue
        values = [best(c + by * np.eye(len(c))[t]).log_z for by in SMOOTH]
        assert found[t] == pytest.approx(-slope(values), abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_switched_off_coupling_has_the_energy_of_independent_units(method):
    """Two terms on the same pairs, one of them with coefficient 0."""
    text = (
        "[units]\ns = { prior = 'ising', shape = 5 }\n[arrays]\n"
        "J = { law = 'normal', std = 0.3, shape = [5, 5] }\n"
        "K = { law = 'normal', std = 0.3, shape = [5, 5] }\n"
        "h = { law = 'normal', std = 0.5, shape = 5 }\n[[terms]]\ncouple = ['s', 's']\nJ = 'J'\n"
        "[[terms]]\ncouple = ['s', 's']\nJ = 'K'\n[[terms]]\nfield = 's'\nh = 'h'\n"
    )
    model = declared(text)
    params = model.params(0)
    find = bethe_fixed_points if method == "bethe" else fixed_points
    for c in ([0.7, 0.0, 1.0], [0.0, 0.0, 1.0], [0.4, 0.5, 1.0]):

        def best(row):
            return find(KINDS[method](Conditionals(model.hamiltonian, row, params)), KEY, random=0).best

        found = best(np.array(c)).term_energies
        for t in range(3):
            values = [best(np.array(c) + by * np.eye(3)[t]).log_z for by in SMOOTH]
            assert found[t] == pytest.approx(-slope(values), abs=1e-6)


@pytest.mark.parametrize("name", ["bernoulli x potts", "boltzmann machine", "lattice", "p-spin"])
def test_energy_and_entropy_of_independent_units_are_exact(name):
    model = family(name)
    params, row = model.params(1), couplings_times(model, 0.0)
    found = estimate_mean_field(model.hamiltonian, params, row, KEY)
    exact = enumerate_states(summed_out(model.hamiltonian), params, row)
    independent = model.coefficients([1.0])
    assert exact.log_z[0] == pytest.approx(found.log_z, abs=1e-10)
    # all terms but the fields have a derivative and no coefficient: their energy is that of means
    energy = found.energy
    entropy = found.fixed_point_entropy
    assert energy == pytest.approx(enumerated_energy(model, params, row, independent), abs=1e-10)
    assert entropy[0] == pytest.approx(found.log_z + energy, abs=1e-10)


def enumerated_energy(model, params, row, thermal) -> float:
    """``<H>`` in the distribution at `row`, by numerical derivatives of exact log Z."""
    c, values = row.value[0], []
    for by in SMOOTH:
        moved = type(row)(row.beta, (c + by * thermal.first[0])[None], row.first, row.second)
        values.append(enumerate_states(summed_out(model.hamiltonian), params, moved).log_z[0])
    return -slope(values)


def test_a_tree_has_the_exact_energy_and_entropy():
    edges = [[0, 1], [2, 1], [1, 3], [3, 4], [6, 5], [5, 7]]
    for prior, extra in (("ising", ""), ("bernoulli", ""), ("potts", ", q = 3")):
        J = "shape = [6, 3, 3]" if extra else "shape = 6"
        h = "shape = [8, 3]" if extra else "shape = 8"
        model = declared(
            f"[units]\ns = {{ prior = '{prior}'{extra}, shape = 8 }}\n[arrays]\n"
            f"J = {{ law = 'normal', std = 1.2, {J} }}\nh = {{ law = 'normal', std = 0.6, {h} }}\n"
            f"[[terms]]\ncouple = ['s', 's']\nJ = 'J'\non = {{ edges = {{ values = {edges} }} }}\n"
            "[[terms]]\nfield = 's'\nh = 'h'\n"
        )
        params = model.params(2)
        for T in (0.4, 1.0, 3.0):
            row = model.coefficients([T])
            found = estimate_bethe(model.hamiltonian, params, row, KEY)
            exact = enumerate_states(model.hamiltonian, params, row)
            assert found.energy == pytest.approx(float(exact.derivative[0]), abs=1e-9)
            entropy = float(exact.log_z[0] + exact.derivative[0] / T)
            assert found.fixed_point_entropy[0] == pytest.approx(entropy, abs=1e-9)


def test_the_paramagnet_of_a_spin_glass_loses_entropy_as_the_couplings_squared():
    """SK above T_c: E is that of the Onsager term alone, ``-beta sum_{i<j} J_ij^2``."""
    model = loaded("sk", (("N", 30), ("h", 0.0)))
    params, T = model.params(0), 2.0
    found = estimate_tap(model.hamiltonian, params, model.coefficients([T]), KEY, random=0)
    squares = (np.triu(params.arrays["J"][0], 1) ** 2).sum()
    assert found.energy == pytest.approx(-squares / T, rel=1e-9)
    entropy = 30 * np.log(2.0) - 0.5 * squares / T**2
    assert found.fixed_point_entropy[0] == pytest.approx(entropy, rel=1e-9)


def test_an_estimate_without_a_fixed_point_has_no_energy():
    model = family("boltzmann machine")
    row = model.coefficients([1.0])
    found = estimate_mean_field(model.hamiltonian, model.params(0), row, KEY, iterations=1)
    assert np.isnan(found.energy) and len(found.fixed_point_energy) == 0
