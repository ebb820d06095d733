"""Names that were meant: slips of letters, abbreviations and pieces; none where nothing is near."""

import tomllib
from pathlib import Path

import pytest

import physebm
from physebm.errors import nearest

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
