"""Names that were meant: slips of letters, abbreviations and pieces; none where nothing is near."""

import tomllib
from pathlib import Path

import pytest

import physebm
from physebm.errors import SYNONYMS, nearest
from physebm.schema.study_declarations import OBSERVABLES
from physebm.schema.study_file import study_from_text

MODELS = tuple(tomllib.loads((Path(physebm.__file__).parent / "models.toml").read_text("utf-8")))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Hopfield", "hopfield"),
        ("hopfeild", "hopfield"),
        ("ea_3d", "edwards_anderson_3d"),
        ("ea3d", "edwards_anderson_3d"),
        ("ea_2d_g", "edwards_anderson_2d_gaussian"),
        ("edw_and_3d", "edwards_anderson_3d"),
        ("dbm", "deep_boltzmann_machine"),
        ("bm", "boltzmann_machine"),
        ("gm", "gaussian_mixture"),
        ("spin_glass", "random_regular_spin_glass"),
        ("anderson", "edwards_anderson_2d"),
        ("rfi", "random_field_ising_3d"),
        ("zzz", None),
        ("x", None),
        ("3d_ae", None),
    ],
)
def test_the_model_that_was_meant(written, meant):
    assert nearest(written, MODELS) == meant


def test_a_slip_of_a_letter_comes_before_an_abbreviation():
    assert nearest("swep", ["s_w_e_p", "sweep"]) == "sweep"
    assert nearest("swe", ["sweeping", "s_w_e"]) == "s_w_e"


def test_no_abbreviation_of_a_single_part_or_of_nothing():
    assert nearest("", ["a_b"]) is None
    assert nearest("l", ["linear"]) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ising_square", "ising_2d"),
        ("Ising model", "ising_2d"),
        ("ising_cubic", "ising_3d"),
        ("sk_model", "sk"),
        ("Sherrington-Kirkpatrick", "sk"),
        ("rfim", "random_field_ising_3d"),
        ("gaussian_rbm", "rbm_gaussian_visible"),
        ("restricted_boltzmann_machine", "rbm"),
        ("curie-weiss", "curie_weiss"),
        ("hopfield_model", "hopfield"),
        ("rem", None),
        ("deep_belief_network", None),
        ("model", None),
    ],
)
def test_other_words_of_the_field_for_a_model(written, meant):
    assert nearest(written, MODELS) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("heat_capacity", "specific_heat"),
        ("overlap", "replica_overlap"),
        ("Binder cumulant", "binder"),
        ("abs_magnetization", "abs_magnetisation"),
        ("free_energy", None),
        ("entropy", None),
    ],
)
def test_other_words_of_the_field_for_an_observable(written, meant):
    assert nearest(written, OBSERVABLES) == meant


def test_a_word_of_the_field_is_first_of_all_itself():
    """And what it stands for is not offered where it is not legal: then spelling decides."""
    assert nearest("free energy", ["energy", "free_energy"]) == "free_energy"
    assert nearest("overlap", ["energy", "pattern_overlap"]) == "pattern_overlap"


def test_synonyms_stand_for_names_that_there_are_and_are_none_themselves():
    assert {meant for meant in SYNONYMS.values() if meant} <= {*MODELS, *OBSERVABLES}
    assert not set(SYNONYMS) & {*MODELS, *OBSERVABLES}


@pytest.mark.parametrize("name", ["free_energy", "entropy", "log_z"])
def test_free_energies_are_asked_for_elsewhere_than_among_the_observables(name):
    with pytest.raises(physebm.PhysebmError, match=r"expected +a table \[free_energy\]") as caught:
        study_from_text(f'model = "sk"\n[observe]\nrecord = ["{name}"]')
    assert "did you mean" not in str(caught.value) and "physebm.free_energies" in str(caught.value)
