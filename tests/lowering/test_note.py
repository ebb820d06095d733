"""The one-page note against golden texts, and its sentences against the models they describe."""

from dataclasses import replace
from pathlib import Path

import pytest

from physebm.lowering.note import PriorText, TermText, physics_note
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.terms import AllPairs, EdgeList, Field, Lattice, LowRank, Many, Pair, Square
from physebm.model.units import Prior, UnitKind
from physebm.schema.load import load
from physebm.schema.model_file import read_models
from physebm.study import describe

ZOO = read_models(Path(__file__).parents[2] / "models.toml")
ISING, GAUSSIAN = Prior(UnitKind.ISING), Prior(UnitKind.GAUSSIAN)


def note_of(name, **overrides):
    """The note of a shipped model, as `physebm show` prints it."""
    return describe.note_of(load(ZOO[name], overrides))


GOLDEN = [
    ("ising_2d", {"h": 0.1}),
    ("hopfield", {}),
    ("hopfield_gaussian", {}),
    ("rbm", {}),
    ("potts_machine", {}),
    ("gaussian_mixture", {}),
    ("p_spin", {}),
    ("rbm_truncated_gaussian_hidden", {}),
]


@pytest.mark.parametrize("name,overrides", GOLDEN, ids=[name for name, _ in GOLDEN])
def test_the_note_reads_as_reviewed(golden, name, overrides):
    golden(f"note_{name}.txt", note_of(name, **overrides))


@pytest.mark.parametrize("name", sorted(ZOO))
def test_every_shipped_model_has_a_note_of_one_page(name):
    lines = note_of(name).splitlines()
    assert len(lines) <= 60
    assert all(len(line) <= 110 and line == line.rstrip() for line in lines)
    assert not any(word in "\n".join(lines) for word in ("None", "{}", "Expression"))


def lattice_note(shape, name="square", periodic=(True, True)):
    hamiltonian = Hamiltonian(
        "toy", (Group("s", ISING, shape),), (Pair("s", "s", Lattice(name, periodic)),)
    )
    return physics_note(hamiltonian, [TermText("J", 0.5)])


def test_two_colourability_is_stated_with_its_reason():
    assert "is two-colourable" in lattice_note((1000, 2))
    assert "axis 1 has odd periodic length 33)" in lattice_note((32, 33))
    assert "axis 0 has odd periodic length 3 and axis 1" in lattice_note((3, 5))
    assert "is two-colourable" in lattice_note((31, 33), periodic=(False, False))
    assert "axis 1 has odd" in lattice_note((31, 33), periodic=(False, True))
    assert "it has triangles" in lattice_note((6, 6), "triangular")
    assert "is two-colourable" in lattice_note((5, 7, 2), "honeycomb", (True, True, True))


def test_bonds_are_counted():
    assert "square lattice on 32 × 33 sites, periodic: 2112 bonds" in lattice_note((32, 33))
    assert "boundary (open, periodic): 2080 bonds" in lattice_note((33, 32), periodic=(False, True))


def formula(term, text="1", groups=None, slots=()):
    groups = groups or (Group("s", ISING, (4,)),)
    hamiltonian = Hamiltonian("toy", groups, (term,), slots)
    note = physics_note(hamiltonian, [TermText(text, 2.0)])
    return note.split(") = ", 2)[2].split("   (1)")[0].rstrip()


def test_every_term_reads_as_its_definition():
    potts = (Group("s", Prior(UnitKind.POTTS, 3), (4,)),)
    both = (*potts, Group("v", ISING, (5,)))
    square = Slot("J", (4, 4))
    assert formula(Field("s")) == "− ∑_i s_i"
    assert formula(Field("s", "h"), "2.5", slots=(Slot("h", (4,)),)) == "− 2.5 ∑_i h_i s_i"
    assert formula(Field("s", "h"), groups=potts, slots=(Slot("h", (4, 3)),)) == "− ∑_i h_i(s_i)"
    assert formula(Pair("s", "s", AllPairs()), "J / N") == "− (J / N) ∑_{i<j} s_i s_j"
    assert formula(Pair("s", "s", AllPairs()), "-1.0") == "− (-1.0) ∑_{i<j} s_i s_j"
    assert formula(Pair("s", "s", EdgeList("erdos-renyi"), "J"), slots=(Slot("J", (-1,)),)) == (
        "− ∑_⟨ij⟩ J_ij s_i s_j"
    )
    assert formula(Pair("s", "s", AllPairs(), "J"), groups=potts, slots=(square,)) == (
        "− ∑_{i<j} J_ij δ(s_i, s_j)"
    )
    assert formula(
        Pair("s", "v", AllPairs(), "W", True), groups=both, slots=(Slot("W", (4, 5, 3)),)
    ) == ("− ∑_{i,k} W_ik(s_i) v_k")
    assert formula(LowRank("s", "xi"), "1 / N", slots=(Slot("xi", (2, 4)),)) == (
        "− (1 / N) ∑_{i<j} ∑_μ xi_i^μ xi_j^μ s_i s_j"
    )
    assert formula(Many("s", 3, AllPairs()), "J") == "− J ∑_{i<j<l} s_i s_j s_l"
    assert formula(Many("s", 4, EdgeList("edges"))) == "− ∑_e ∏_{i∈e} s_i"


def test_a_second_square_term_is_part_of_h_and_the_prior_is_not():
    hamiltonian = Hamiltonian(
        "toy", (Group("x", GAUSSIAN, (3,)),), (Square("x"), Square("x", "w")), (Slot("w", (3,)),)
    )
    texts = [TermText("1 / (2)", 0.5), TermText("mass", 0.1)]
    note = physics_note(hamiltonian, texts, priors={"x": PriorText("2")})
    assert "H(x) = + mass ½ ∑_i w_i x_i²   (1)" in note
    assert "ρ = N(0, variance 2)" in note
    alone = replace(hamiltonian, terms=(Square("x"),))
    assert "H(x) = 0" in physics_note(alone, texts[:1], priors={"x": PriorText("2")})


def test_what_temperature_does_is_said_where_it_is_unusual():
    assert "has variance T, which changes with T" in note_of("hopfield_gaussian").replace("\n  ", " ")
    assert "which changes with T" not in note_of("rbm_gaussian_hidden")
    assert "depends on T itself, through sqrt(T)" in physics_note(
        Hamiltonian("toy", (Group("s", ISING, (2,)),), (Field("s"),)), [TermText("sqrt(T)", 1.0)]
    )


def test_units_that_are_summed_out_say_so():
    hamiltonian = load(ZOO["rbm"]).hamiltonian
    groups = (hamiltonian.groups[0], replace(hamiltonian.groups[1], integrated=True))
    note = physics_note(replace(hamiltonian, groups=groups), [TermText()] * 3)
    assert "500 units, summed out" in note
    assert "N = 784: the visible units (v)" in note
