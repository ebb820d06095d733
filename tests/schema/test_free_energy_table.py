"""[free_energy]: what is read, defaults, and answers to mistakes."""

from pathlib import Path

import pytest

from physebm.errors import StudyFileError
from physebm.schema.free_energy_declarations import (
    FREE_ENERGY_METHODS,
    READERS,
    AnnealingDeclaration,
    LadderDeclaration,
)
from physebm.schema.model_file import read_models
from physebm.schema.study_file import check_study, study_from_dict, study_from_text, study_to_dict

ZOO = read_models(Path(__file__).parents[2] / "models.toml")
PLAIN = 'model = "sk"\n[free_energy]\n'
TRAINED = (
    'model = "rbm"\n[set]\nNv = 64\n[scan]\ntemperature = [1.0, 2.0]\n'
    '[train]\ndata = { source = "digits", binarise = 0.5 }\n[free_energy]\nmethod = "ais"\n'
)


def read(text=PLAIN, *overrides):
    study = study_from_text(text, overrides)
    check_study(study, ZOO)
    return study


def test_one_method_or_several_with_the_tables_they_read():
    asked = read().free_energy
    assert asked.method == ("bar",) and asked.ladder == LadderDeclaration()
    assert asked.annealing is asked.population is asked.fixed_points is None
    text = PLAIN + 'method = ["exact", "ais"]\nannealing = { chains = 20, base = "uniform" }\n'
    asked = read(text).free_energy
    assert asked.method == ("exact", "ais") and asked.ladder is None
    assert asked.annealing == AnnealingDeclaration(chains=20, base="uniform")


def test_free_energies_alone_need_no_sampling():
    assert not read().sampling_asked
    assert read(PLAIN + '[observe]\nrecord = ["energy"]\n').sampling_asked
    trained = read(TRAINED)
    assert not trained.sampling_asked and trained.axis("temperature") is not None


@pytest.mark.parametrize("name", FREE_ENERGY_METHODS)
def test_every_method_is_written_and_read_again(name):
    study = read(PLAIN + f'method = "{name}"\n')
    again = study_from_dict(study_to_dict(study))
    assert again.free_energy == study.free_energy
    read_by = [table for table, methods in READERS.items() if name in methods]
    assert [t for t in READERS if getattr(study.free_energy, t) is not None] == read_by


WRONG = {
    "a name": ('method = "mbr"', "free_energy.method", "did you mean mbar?"),
    "twice": ('method = ["ais", "ais"]', "free_energy.method[1]", "stands in the list already"),
    "no list": ("method = 3", "free_energy.method", "or a list of names"),
    "empty": ("method = []", "free_energy.method", "or a list of names"),
    "unread": (
        'method = "ais"\nladder = { chains = 3 }',
        "free_energy.ladder",
        "it is read by mbar, bar",
    ),
    "a key": ("ladder = { chain = 3 }", "free_energy.ladder", "did you mean chains?"),
    "draws": ("ladder = { sweeps = 100 }", "free_energy.ladder.sweeps", "at least 64 draws"),
    "rate": ("ladder = { acceptance = 1.5 }", "free_energy.ladder.acceptance", "between 0 and 1"),
    "chains": ('method = "ais"\nannealing = { chains = 1 }', "annealing.chains", "2 or more"),
    "damping": ('method = "tap"\nfixed_points = { damping = 1.0 }', "fixed_points.damping", "below 1"),
    "cold": ("[sample]\nmethod = 'zero-temperature'", "free_energy", "has no free energy"),
    "clamped": ("[clamp]\ns = [1, nan]", "free_energy", "held units"),
    "start": ('[scan]\nstart = ["random", "all-up"]', "scan.start", "do not depend on it"),
    "observed": ('[observe]\nrecord = ["log_z"]', "observe.record[0]", "come from a table"),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_answered_where_they_stand(wrong):
    text, where, answer = wrong
    with pytest.raises(StudyFileError) as caught:
        read(PLAIN + text + "\n")
    assert where in str(caught.value) and answer in str(caught.value)


def test_another_method_leaves_out_the_tables_that_nobody_reads_then():
    text = PLAIN + 'method = ["bar", "ais"]\nladder = { chains = 5 }\nannealing = { chains = 9 }\n'
    asked = read(text, 'free_energy.method=["exact", "ais"]').free_energy
    assert asked.method == ("exact", "ais") and asked.ladder is None and asked.annealing.chains == 9
    assert read(text, "free_energy.method=exact").free_energy.annealing is None
    with pytest.raises(StudyFileError, match="is read by"):
        read(text, "free_energy.method=exact", "free_energy.ladder.chains=3")
