"""[train.likelihood]: defaults, who reads it, and answers to mistakes."""

import pickle
from pathlib import Path

import pytest

from physebm.errors import StudyFileError
from physebm.schema.model_file import read_models
from physebm.schema.study_file import check_study, study_from_dict, study_from_text, study_to_dict
from physebm.schema.train_declarations import LikelihoodDeclaration

ZOO = read_models(Path(__file__).parents[2] / "models.toml")

DIGITS = """
model = "rbm"
[set]
Nv = 64
[train]
data = { source = "digits", binarise = 0.5 }
updates = 100
record = { every = 20 }
"""
TABLE = DIGITS + "[train.likelihood]\n"


def read(text, *overrides):
    study = study_from_text(text, overrides)
    check_study(study, ZOO)
    return study


def refusal(text, *overrides) -> str:
    with pytest.raises(StudyFileError) as caught:
        read(text, *overrides)
    return str(caught.value)


def test_it_is_off_unless_it_is_written():
    assert read(DIGITS).train.likelihood is None
    assert "likelihood" not in study_to_dict(read(DIGITS))["train"]
    assert read(TABLE).train.likelihood == LikelihoodDeclaration(
        chains=200, temperatures=500, sweeps=1, every=1, resample=0.5
    )


def test_annealing_is_asked_for_at_some_recorded_ages():
    train = read(TABLE + "every = 2\n").train
    assert train.ages() == (0, 20, 40, 60, 80, 100)
    assert train.likelihood.annealed(train.ages()) == (0, 40, 80, 100)
    assert read(TABLE).train.likelihood.annealed(train.ages()) == train.ages()


@pytest.mark.parametrize("method", ["cd", "pcd", "pt", "rdm"])
def test_methods_with_chains_read_it_and_it_travels(method):
    study = read(TABLE + "chains = 64\n", f"train.method={method}")
    assert study.train.likelihood.chains == 64
    assert pickle.loads(pickle.dumps(study)) == study
    assert study_from_dict(study_to_dict(study)).train == study.train


def test_its_keys_are_overridden_and_scanned():
    assert read(TABLE, "train.likelihood.temperatures=50").train.likelihood.temperatures == 50
    scanned = DIGITS + "[scan]\ntrain.likelihood.chains = [32, 64]\n"
    assert read(scanned).train.likelihood.chains == 32


def test_the_exact_method_refuses_it_with_the_reason():
    text = refusal(TABLE.replace("updates", 'method = "exact"\nupdates'))
    assert "train.likelihood" in text and "log-likelihoods are recorded without an error" in text


@pytest.mark.parametrize("method", ["mean-field", "tap", "bethe"])
def test_inversions_refuse_it(method):
    text = TABLE.replace("updates = 100\nrecord = { every = 20 }\n", f'method = "{method}"\n')
    text = refusal(text.replace('"rbm"', '"boltzmann_machine"').replace("Nv", "N"))
    assert "train.likelihood" in text and f"here is method {method}" in text


def test_a_method_written_over_leaves_it_out():
    assert read(TABLE, "train.method=exact").train.likelihood is None


@pytest.mark.parametrize(
    "line, where, expected",
    [
        ("chains = 8", "train.likelihood.chains", "16 or more"),
        ("temperatures = 1", "train.likelihood.temperatures", "2 or more"),
        ("sweeps = 0", "train.likelihood.sweeps", "1 or more"),
        ("every = 0", "train.likelihood.every", "1 or more"),
        ("resample = 1.5", "train.likelihood.resample", "0 to below 1"),
        ("chain = 100", "train.likelihood", "temperatures"),
        ('chains = "many"', "train.likelihood.chains", "an integer"),
    ],
)
def test_mistakes_are_answered_where_they_stand(line, where, expected):
    text = refusal(TABLE + line + "\n")
    assert where in text and expected in text
