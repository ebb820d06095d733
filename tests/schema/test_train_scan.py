"""Scans of keys of [train]: axes, names, tables of a point, overrides, and answers to mistakes."""

from pathlib import Path

import numpy as np
import pytest

from physebm.errors import StudyFileError
from physebm.schema.axes import Written
from physebm.schema.model_file import read_models
from physebm.schema.study_file import check_study, study_from_dict, study_from_text, study_to_dict

ZOO = read_models(Path(__file__).parents[2] / "models.toml")

INVERSE = """
model = "boltzmann_machine"
[set]
N = 20
[scan]
train.method = ["pcd", "pseudo-likelihood", "tap"]
train.data.samples = { geomspace = [100, 10000, 3] }
train.data.temperature = [1.0, 2.0]
disorder = 2
[train]
data = { source = "model", model = "sk", set = { N = 20 } }
chains = 100
steps = 5
updates = 500
[plot]
curve = { x = "samples", y = "coupling_error", by = "train_method", panel = "data_temperature" }
"""


def read(text=INVERSE, *overrides):
    study = study_from_text(text, overrides)
    check_study(study, ZOO)
    return study


def first(study):
    return {axis.name: axis.values[0] for axis in study.scan}


def test_keys_become_axes_in_the_order_of_the_file():
    study = read()
    assert [(axis.name, axis.key) for axis in study.scan] == [
        ("train_method", "train.method"),
        ("samples", "train.data.samples"),
        ("data_temperature", "train.data.temperature"),
        ("disorder", ""),
    ]
    assert study.axis("samples").values == (100, 1000, 10000)
    assert all(isinstance(value, int) for value in study.axis("samples").values)
    assert study.parameters_at(first(study)).keys() == {"N"}
    assert study.train_axes == study.scan[:3]


def test_the_table_of_a_point_has_its_values_and_only_what_its_method_reads():
    study = read()
    point = first(study) | {"samples": 10000, "data_temperature": 2.0}
    pcd = study.train_at(point)
    assert (pcd.method, pcd.steps, pcd.chains, pcd.updates) == ("pcd", 5, 100, 500)
    assert (pcd.data.samples, pcd.data.temperature) == (10000, 2.0)
    tap = study.train_at(point | {"train_method": "tap"})
    assert (tap.method, tap.updates, tap.ages(), tap.tau_sweeps) == ("tap", 1, (0, 1), 0)
    assert study.train == study.train_at(first(study))
    assert study_from_text('model = "sk"\n').train_at({}) is None


def test_a_point_may_be_given_by_coordinates_as_a_result_holds_them():
    study = read()
    place = {"train_method": np.str_("tap"), "samples": np.int64(1000)}
    place["data_temperature"] = np.float64(2)
    assert study.train_at(place).data.samples == 1000
    with pytest.raises(StudyFileError, match="100, 1000, 10000"):
        study.train_at(place | {"samples": 7})


def test_tables_lists_and_flags_have_texts_for_coordinates():
    text = INVERSE.replace(
        'train.method = ["pcd", "pseudo-likelihood", "tap"]',
        "train.learning_rate = [0.1, { schedule = 'linear', end = 0.01, start = 0.1 }]\n"
        "train.data.rows = [[0, 50], [50, 100]]\ntrain.data.map = [false, true]",
    ).replace('by = "train_method", ', "")
    study = read(text)
    linear = '{ end = 0.01, schedule = "linear", start = 0.1 }'
    assert study.axis("learning_rate").coordinates == ("0.1", linear)
    assert study.axis("rows").coordinates == ("[0, 50]", "[50, 100]")
    assert study.axis("map").coordinates == ("false", "true")
    assert study.axis("map").values == (Written(False), Written(True))
    point = first(study) | {"learning_rate": linear, "rows": "[50, 100]", "map": "true"}
    train = study.train_at(point)
    assert (train.learning_rate.end, train.data.rows, train.data.map) == (0.01, (50, 100), True)
    # the same table with its keys in another order is the same point
    again = study.scan[0].values[1]
    assert again.label == Written(dict(reversed(again.written.items()))).label


NAMES = [
    # what is scanned, more of the file, the dimensions
    ("train.start = ['random', 'data']", "", ["train_start"]),
    ("train.updates = [10, 20]", "", ["updates"]),
    ("train.data.discard = [10, 20]", "", ["data_discard"]),
    ("train.data.set.J = [0.5, 1.0]", "", ["data_J"]),
    ("train.l2.J = [0.1, 0.2]", "", ["l2_J"]),
    ("train.learning_rate.start = [0.1, 0.2]", "", ["learning_rate_start"]),
    ("train.record.logspace = [10, 20, 30]", "", ["logspace"]),
    ("train.data.split.test = [0.1, 0.2]", "", ["test"]),
    ("train.chains = [10, 20]\ntrain.data.chains = [1, 2]", "", ["train_chains", "data_chains"]),
    ("train.data.every = [1, 2]\ntrain.data.chains = [1, 2]", "", ["every", "chains"]),
    ("N = [10, 20]\ntrain.batch = [1, 2]", "", ["N", "batch"]),
    ("train.batch = [1, 2]", "[set]\nbatch = 3\n", ["train_batch"]),
]


@pytest.mark.parametrize(("scan", "more", "names"), NAMES)
def test_a_dimension_is_called_after_the_last_part_of_its_key_where_that_is_free(scan, more, names):
    text = (
        f'model = "boltzmann_machine"\n{more}[scan]\n{scan}\n[train]\n'
        'data = { source = "model", model = "sk", samples = 10 }\n'
    )
    assert [axis.name for axis in study_from_text(text).scan] == names


def test_a_number_and_a_table_of_one_key_are_told_apart():
    study = read(INVERSE, "scan.train.updates={logspace=[1, 3, 3]}")
    assert study.axis("updates").values == (10, 100, 1000)
    study = read(INVERSE, "scan.train.record.logspace=[5, 10]")
    assert [len(study.train_at(first(study) | {"logspace": n}).ages()) for n in (5, 10)] == [6, 11]


def test_parts_of_a_rate_and_a_schedule_are_scanned_together():
    text = INVERSE.replace(
        'train.method = ["pcd", "pseudo-likelihood", "tap"]',
        'train.learning_rate.schedule = ["constant", "power"]\ntrain.learning_rate.start = [0.1, 0.2]',
    ).replace('by = "train_method", ', "")
    text = text.replace("steps = 5\n", "steps = 5\nlearning_rate = { half = 20 }\n")
    study = read(text)
    point = first(study) | {"schedule": "power", "learning_rate_start": 0.2}
    assert study.train_at(point).learning_rate.half == 20
    assert study.train_at(first(study)).learning_rate.half == 1000
    written = study_to_dict(study)
    assert written["train"]["learning_rate"] == {"half": 20.0, "power": 1.0}
    assert study_from_dict(written).train_at(point) == study.train_at(point)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("train.method=tap",),
        ("scan.train.method=['tap', 'bethe', 'pt']", "train.rungs=5"),
        ("scan.train.optimiser=['sgd', 'momentum']", "train.momentum=0.5"),
        ("scan.train.learning_rate=[0.1, {start=1, end=0.1, schedule='linear'}]",),
        ("scan.train.learning_rate.start=[0.1, 0.2]",),
        ("scan.train.data.split.test=[0.1, 0.2]", "train.data.split.validation=0.1"),
        ("scan.train.data.set.h=[0, 1]", "scan.train.data.map=[true, false]"),
        ("scan.train.record=[[1, 2], {every=7}]",),
        ("sample.sweeps=100", "scan.temperature=[0.5, 1]"),
    ],
)
def test_a_scan_written_out_reads_back_as_itself(overrides):
    study = read(INVERSE, *overrides)
    written = study_to_dict(study)
    again = study_from_dict(written, name="study")
    assert study_to_dict(again) == written
    assert [(a.name, a.key, a.values) for a in again.scan] == [
        (a.name, a.key, a.values) for a in study.scan
    ]
    for axis in study.train_axes:
        for value in axis.values:
            point = first(study) | {axis.name: value}
            assert again.train_at(point) == study.train_at(point)


def test_setting_a_scanned_key_drops_its_axis_and_the_figures_along_it():
    study = read(INVERSE, "train.method=tap")
    assert study.axis("train_method") is None and study.train.method == "tap" and study.plots == ()
    study = read(INVERSE, "train.data.temperature=0.5")
    assert study.axis("data_temperature") is None and study.plots == ()
    assert study.train.data.temperature == 0.5
    study = read(INVERSE, "train.data={source='digits'}")
    assert [axis.name for axis in study.scan] == ["train_method", "disorder"]
    study = read(INVERSE, "train.gradient=centred")
    assert len(study.scan) == 4 and len(study.plots) == 1


def test_an_overridden_method_leaves_the_keys_of_the_old_one_out():
    study = read(INVERSE, "train.method=tap")
    assert study.train.updates == 1 and set(study.train_table) == {"data", "method"}
    assert set(read(INVERSE, "scan.train.method=['exact']").train_table) == {"data", "updates"}
    text = (
        "model = 'rbm'\n[train]\ndata = { source = 'digits', binarise = 0.5 }\nbatch = 9\nchains = 9\n"
    )
    train = read(text, "train.method=cd").train
    assert (train.method, train.batch) == ("cd", 9)
    train = read(text, "train.data.source=model", "train.data.model=sk", "train.data.samples=5").train
    assert train.data.binarise is None
    with pytest.raises(StudyFileError, match=r"--set train\.chains"):
        read(text, "train.method=cd", "train.chains=3")


def test_scanning_a_set_key_drops_the_set_one():
    study = read(INVERSE, "scan.train.steps=[1, 2]")
    assert study.axis("steps").values == (1, 2) and "steps" not in study.train_table
    study = read(INVERSE, "train.method=tap", "scan.train.method=['tap', 'pcd']")
    assert study.axis("train_method").values == ("tap", "pcd") and len(study.plots) == 1
    study = read(INVERSE, "train.learning_rate=0.1", "scan.train.learning_rate.start=[0.1, 0.2]")
    assert study.train.learning_rate.start == 0.1


def test_the_source_of_the_data_is_one_thing():
    study = read(INVERSE, "train.method=pcd", "train.data={source='digits'}", "train.data.path=/x/y.gz")
    assert (study.train.data.path, study.train.data.source) == ("/x/y.gz", None)
    study = read(INVERSE, "train.data={path='x.npy'}", "train.data.source=digits")
    assert (study.train.data.path, study.train.data.source) == (None, "digits")


@pytest.mark.parametrize("path", ["/data/x.npy", "~/x.npy", "./x.npy", "../x-1+2.npy", "x/y.npy"])
def test_a_path_needs_no_quotes(path):
    text = "model = 'rbm'\n[train]\ndata = { source = 'digits' }\n"
    assert read(text, f"train.data.path={path}").train.data.path == path


def test_all_teachers_of_a_scan_are_known():
    study = read(INVERSE, "scan.train.data.model=['sk', 'curie_weiss']", "train.data.set={N=20}")
    assert study.teachers == ("sk", "curie_weiss")
    with pytest.raises(StudyFileError, match="did you mean sk"):
        read(INVERSE, "scan.train.data.model=['curie_weiss', 'skk']")


MISTAKES = [
    ("scan.train=3", "--set scan.train", "a table"),
    ("scan.train.mthod=['tap']", "--set scan.train.mthod", "did you mean method?"),
    ("scan.train.data.sample=[1]", "--set scan.train.data.sample", "did you mean samples?"),
    ("scan.train.data.split.tst=[0.1]", "--set scan.train.data.split.tst", "did you mean test?"),
    ("scan.train.method=['pcd', 'tpa']", "--set scan.train.method[1]", "did you mean tap?"),
    ("scan.train.method=tap", "--set scan.train.method", "a list of values"),
    ("scan.train.method=[]", "--set scan.train.method", "at least one"),
    ("scan.train.method=['tap', 'tap']", "--set scan.train.method[1]", "entry 0"),
    ("scan.train.steps=[1, 0]", "--set scan.train.steps[1]", "1 or more"),
    ("scan.train.steps=[1, 2.5]", "--set scan.train.steps[1]", "an integer"),
    ("scan.train.steps={linspace=[1, 2, 9]}", "--set scan.train.steps[1]", "entry 0"),
    ("scan.train.steps={linspac=[1, 2, 9]}", "--set scan.train.steps", "did you mean linspace?"),
    ("scan.train.rungs=[5, 6]", "--set scan.train.rungs", "belongs to method pt"),
    ("scan.train.data.set.M=[1, 2]", "study: scan.train.data.set.M[0]", "parameters of sk"),
    ("scan.train.data.set.N=[10, true]", "--set scan.train.data.set.N[1]", "a number"),
    ("scan.train.l2.J=[0.1, -1]", "--set scan.train.l2.J[1]", "zero or more"),
    (
        "scan.train.learning_rate=[1, {start=1, end=0}]",
        "--set scan.train.learning_rate[1].end",
        "belongs to schedule linear",
    ),
    ("train.rungs=5", "--set train.rungs", "belongs to method pt; here is method pcd"),
    ("train.momentum=0.5", "--set train.momentum", "belongs to optimiser momentum"),
    ("scan.temperature=[1, 2]", "--set scan.temperature", "nothing is sampled"),
    ("plot.training={y='u', by='train_metod'}", "--set plot.training.by", "did you mean train_method?"),
]


@pytest.mark.parametrize(("override", "where", "says"), MISTAKES)
def test_a_mistake_is_answered_by_place_value_and_remedy(override, where, says):
    with pytest.raises(StudyFileError) as caught:
        read(INVERSE, override)
    assert caught.value.where == where
    assert says in str(caught.value)
    assert caught.value.exit_status == 2 and caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("chains = 100", 'chains = 100\nmethod = "tap"', "train.method", "is scanned"),
        ("steps = 5", "steps = 5\nrecord = [600]", "train.record[0]", "up to 500"),
        ("chains = 100", "chains = 100\nrungs = 3", "train.rungs", "belongs to method pt"),
        ('set = { N = 20 } }', 'set = { N = 20 }, samples = 3 }', "train.data.samples", "is scanned"),
    ],
)  # fmt: skip
def test_combinations_that_make_no_sense_are_refused(old, new, where, says):
    assert old in INVERSE
    with pytest.raises(StudyFileError) as caught:
        read(INVERSE.replace(old, new, 1))
    assert says in str(caught.value)
    assert caught.value.where == f"study: {where}"


def test_a_scan_needs_a_table_to_scan():
    with pytest.raises(StudyFileError, match="no table \\[train\\]"):
        read('model = "sk"\n[scan]\ntrain.steps = [1, 2]\n')
    text = INVERSE.replace("steps = 5", "learning_rate = 0.1")
    with pytest.raises(StudyFileError, match="is scanned, so this is a table"):
        read(
            text.replace("disorder = 2", "").replace(
                "[train]", "train.learning_rate.start = [1]\n[train]"
            )
        )
