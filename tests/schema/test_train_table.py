"""[train]: what is read, defaults, ages, figures of a training, and answers to mistakes."""

import inspect
import re
from pathlib import Path

import pytest

from physebm.data.bundled import ELSEWHERE, NAMES
from physebm.data.read import read_data
from physebm.errors import StudyFileError
from physebm.learning import gauge, optimisers, recipe
from physebm.schema.data_declarations import NAMED, READER_KEYS, DataDeclaration
from physebm.schema.model_file import read_models
from physebm.schema.recorded_ages import AgeList, RecordDeclaration
from physebm.schema.study_file import check_study, study_from_dict, study_from_text, study_to_dict
from physebm.schema.train_declarations import (
    CHAIN_METHODS,
    INVERSIONS,
    METHODS,
    LikelihoodDeclaration,
    RateDeclaration,
    TrainDeclaration,
)

ZOO = read_models(Path(__file__).parents[2] / "models.toml")

DIGITS = """
model = "rbm"
[set]
Nv = 64
[train]
data = { source = "digits", binarise = 0.5 }
"""

TEACHER = """
model = "boltzmann_machine"
[train]
data = { source = "model", model = "sk", set = { N = 10 }, samples = 1000 }
"""

FILE = """
model = "potts_machine"
[train]
data = { path = "x.fasta", alphabet = "protein", weights = "sequence" }
"""

SAMPLED = DIGITS + "[scan]\ntemperature = [0.5, 1.0]\n[sample]\nsweeps = 1000\n"


def read(text=DIGITS, *overrides):
    study = study_from_text(text, overrides)
    check_study(study, ZOO)
    return study


def test_a_table_arrives_typed_with_its_defaults():
    train = read().train
    assert (train.method, train.steps, train.chains, train.batch) == ("pcd", 10, 500, None)
    assert (train.updates, train.learning_rate) == (1000, RateDeclaration(start=0.01))
    assert (train.optimiser, train.gradient, train.clip, train.gauge) == ("sgd", "plain", None, "none")
    assert (train.l1, train.l2, train.momentum, train.pseudocount) == ({}, {}, 0.9, 0.0)
    assert (train.positive, train.positive_steps, train.initial_fields) == ("mean-field", 10, "data")
    assert (train.start, train.rungs, train.hottest) == ("random", 10, 0.0)
    assert (train.snapshots, train.tau_sweeps, len(train.ages())) == (True, 200, 41)
    data = train.data
    assert (data.source, data.binarise, data.scale, data.rows) == ("digits", 0.5, None, None)
    assert (data.map, data.standardise, data.weights) == (False, False, "none")
    assert (data.split.train, data.split.validation, data.split.test) == (1.0, 0.0, 0.0)


def test_an_inversion_makes_one_update_and_has_no_chains():
    train = read(DIGITS, "train.method=tap").train
    assert (train.updates, train.ages(), train.tau_sweeps) == (1, (0, 1), 0)


def test_a_teacher_has_parameters_and_defaults():
    data = read(TEACHER).train.data
    assert data.set["N"].constant == 10 and data.set["N"].where == "study: train.data.set.N"
    assert (data.temperature, data.discard, data.every, data.chains) == (1.0, 1000, 10, 100)
    assert data.samples == 1000 and data.tempering is False
    assert read(TEACHER).teachers == ("sk",) and read().teachers == ()


def test_the_tables_speak_of_what_the_lower_floors_have():
    assert METHODS == recipe.METHODS and INVERSIONS == tuple(recipe.INVERSIONS)
    assert recipe.CHAIN_METHODS == CHAIN_METHODS
    for field, words in (("gauge", ("none", *gauge.GAUGES)), ("optimiser", optimisers.NAMES)):
        for word in words:
            assert getattr(read(DIGITS, f"train.{field}={word}").train, field) == word
    assert NAMED == (*NAMES, *ELSEWHERE)
    for name in NAMED:
        assert read(DIGITS, f"train.data.source={name}").train.data.source == name
        assert read(DIGITS, f"train.data.source={name}").train.data.binarise == 0.5
    options = set(inspect.signature(read_data).parameters) - {"path", "where"}
    assert set(read(FILE).train.data.reader_options()) == options == {*READER_KEYS, "weights"}


def test_weights_are_none_by_sequence_or_of_the_file():
    assert read(FILE).train.data.reader_options()["weights"] is None
    assert read(FILE).train.data.identity == 0.8
    held = read(FILE, "train.data.weights=w").train.data
    assert held.weights == held.reader_options()["weights"] == "w"
    held = read(FILE, "train.data.weights=3").train.data
    assert held.reader_options()["weights"] == 3


def test_new_data_are_read_like_those_of_the_training():
    data = read(FILE, "train.data.rows=[0, 10]").train.data.with_path("y.fasta")
    assert (data.path, data.alphabet, data.rows, data.weights) == ("y.fasta", "protein", None, "none")
    data = read().train.data.with_path("y.npy")
    assert (data.source, data.path, data.binarise) == (None, "y.npy", 0.5)
    assert read(TEACHER, "train.data.map=true").train.data.with_path("y.npy").map


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40, 200])
@pytest.mark.parametrize("updates", [1, 2, 10, 39, 40, 41, 100, 1000, 20_000, 1_000_000])
def test_logarithmic_ages_are_as_many_as_asked_for_and_spread_evenly(count, updates):
    ages = RecordDeclaration(logspace=count).ages(updates)
    assert ages[0] == 0 and ages[-1] == updates
    assert list(ages) == sorted(set(ages))
    if count == 1:
        assert ages == tuple(sorted({0, 1, updates}))
        return
    assert len(ages) == 1 + min(count, updates)
    assert ages[1] == 1
    # no step is larger than its share of what is left, to half an update
    for i in range(1, len(ages) - 1):
        share = ages[i] * (updates / ages[i]) ** (1 / (len(ages) - 1 - i))
        assert ages[i + 1] <= max(ages[i] + 1, share + 0.5)


def test_ages_by_steps_and_by_list():
    assert RecordDeclaration(every=30).ages(100) == (0, 30, 60, 90, 100)
    assert RecordDeclaration(every=50).ages(100) == (0, 50, 100)
    assert AgeList([10, 20]).ages(100) == (0, 10, 20, 100)
    study = read(DIGITS, "train.record=[1, 10, 1000]")
    assert study.train.ages() == (0, 1, 10, 1000)
    assert read(DIGITS, "train.record.every=400").train.ages() == (0, 400, 800, 1000)


def test_a_rate_is_a_number_or_a_schedule():
    rate = read(DIGITS, "train.learning_rate={start=0.1, end=0.001, schedule='exponential'}")
    held = rate.train.learning_rate
    assert (held.start, held.end, held.schedule) == (0.1, 0.001, "exponential")
    held = read(DIGITS, "train.learning_rate={start=1, schedule='power', half=50}").train.learning_rate
    assert (held.start, held.half, held.power) == (1.0, 50.0, 1.0)
    kinds = inspect.signature(optimisers.Schedule).parameters
    fields = {"start": held.start, "end": held.end, "kind": held.schedule}
    assert set(kinds) == {*fields, "half", "power"}


@pytest.mark.parametrize(
    "text",
    [
        DIGITS,
        TEACHER,
        FILE,
        SAMPLED,
        DIGITS + 'method = "pt"\nrungs = 5\nhottest = 0.2\nclip = 3\nrecord = [1, 5]\nbatch = 100\n',
        DIGITS + 'method = "tap"\npseudocount = 0.1\nsnapshots = false\n',
        DIGITS + 'learning_rate = { start = 1, schedule = "power" }\nl2 = { W = 0.1 }\n',
        DIGITS + 'optimiser = "momentum"\npositive = "sampled"\nrecord = { every = 10 }\n',
        DIGITS.replace("0.5 }", "0.5, split = { test = 0.1, validation = 0.2 } }"),
        DIGITS.replace("0.5 }", '"sample", scale = [0, 16], rows = [0, 900], map = true }'),
        TEACHER.replace("samples", "tempering = true, temperature = 0.5, samples"),
    ],
)
def test_a_table_written_out_with_its_defaults_reads_back_as_itself(text):
    study = read(text)
    written = study_to_dict(study)
    again = study_from_dict(written, name="study")
    assert study_to_dict(again) == written
    assert again.train == study.train
    assert again.sampling_asked == study.sampling_asked
    assert ("sample" in written) == study.sampling_asked


def test_keys_that_nobody_reads_are_not_written_out():
    written = study_to_dict(read(DIGITS, "train.method=mean-field"))["train"]
    assert set(written) == {"data", "method", "pseudocount", "snapshots"}
    written = study_to_dict(read())["train"]
    assert not {"rungs", "hottest", "momentum", "pseudocount", "positive_steps"} & set(written)
    assert "identity" not in written["data"] and "samples" not in written["data"]


def test_sampling_follows_where_it_is_asked_for():
    assert not read().sampling_asked
    for table in ("[sample]\n", "[observe]\n", "[scan]\ntemperature = [1, 2]\n[tempering]\n"):
        assert read(DIGITS + table).sampling_asked
    assert read(DIGITS, "sample.sweeps=100").sampling_asked
    assert study_from_text('model = "sk"\n').sampling_asked


MISTAKES = [
    # text, override, where, a piece of the message
    (DIGITS, "train.stps=3", "--set train.stps", "did you mean steps?"),
    (DIGITS, "train.method=pdc", "--set train.method", "did you mean pcd?"),
    (DIGITS, "train.steps=0", "--set train.steps", "1 or more"),
    (DIGITS, "train.steps=1.5", "--set train.steps", "an integer"),
    (DIGITS, "train.chains=true", "--set train.chains", "an integer"),
    (DIGITS, "train.batch=-1", "--set train.batch", "1 or more"),
    (DIGITS, "train.updates=0", "--set train.updates", "1 or more"),
    (DIGITS, "train.tau_sweeps=-1", "--set train.tau_sweeps", "0 or more"),
    (DIGITS, "train.clip=0", "--set train.clip", "above zero"),
    (DIGITS, "train.clip=nan", "--set train.clip", "above zero"),
    (DIGITS, "train.learning_rate=0", "--set train.learning_rate", "above zero"),
    (DIGITS, "train.learning_rate=fast", "--set train.learning_rate", "a number, or a table"),
    (DIGITS, "train.learning_rate={end=1}", "--set train.learning_rate", "`start`, which is missing"),
    (
        DIGITS,
        "train.learning_rate={start=1, schedule='linear'}",
        "--set train.learning_rate",
        "`end`, which schedule linear needs",
    ),
    (
        DIGITS,
        "train.learning_rate={start=1, end=0.1}",
        "--set train.learning_rate.end",
        "belongs to schedule linear and schedule exponential; here is schedule constant",
    ),
    (
        DIGITS,
        "train.learning_rate={strat=1}",
        "--set train.learning_rate",
        "did you mean start?",
    ),
    (DIGITS, "train.l1=0.1", "--set train.l1", "{ W = 0.001 }"),
    (DIGITS, "train.l2.W=-1", "--set train.l2.W", "zero or more"),
    (DIGITS, "train.record=40", "--set train.record", "a list of ages"),
    (DIGITS, "train.record={logspace=40, every=3}", "--set train.record", "exactly one of"),
    (DIGITS, "train.record={logspac=40}", "--set train.record", "did you mean logspace?"),
    (DIGITS, "train.record.logspace=0", "--set train.record.logspace", "1 or more"),
    (DIGITS, "train.record=[1, 2000]", "--set train.record[1]", "up to 1000"),
    (DIGITS, "train.record=[2, 1]", "--set train.record[1]", "ascending"),
    (DIGITS, "train.record=[1, 1.5]", "--set train.record[1]", "a number of updates"),
    (DIGITS, "train.rungs=5", "--set train.rungs", "belongs to method pt; here is method pcd"),
    (DIGITS, "train.hottest=0", "--set train.hottest", "belongs to method pt"),
    (DIGITS, "train.pseudocount=0.1", "--set train.pseudocount", "method mean-field and method tap"),
    (DIGITS, "train.momentum=0.5", "--set train.momentum", "optimiser momentum; here is optimiser sgd"),
    (DIGITS + 'method = "exact"\n', "train.positive=sampled", "--set train.positive", "has no chains"),
    (DIGITS, "train.positive_steps=3", "--set train.positive_steps", "here is positive mean-field"),
    (DIGITS + 'method = "exact"\n', "train.steps=3", "--set train.steps", "belongs to method"),
    (DIGITS + 'method = "cd"\n', "train.chains=3", "--set train.chains", "belongs to method"),
    (DIGITS + 'method = "rdm"\n', "train.start=data", "--set train.start", "method pcd and method pt"),
    (DIGITS + 'method = "tap"\n', "train.batch=3", "--set train.batch", "here is method tap"),
    (DIGITS + 'method = "tap"\n', "train.record=[1]", "--set train.record", "here is method tap"),
    (DIGITS + 'batch = 3\nmethod = "tap"\n', "seed=1", "study: train.batch", "here is method tap"),
    (DIGITS + 'method = "pt"\n', "train.hottest=1", "--set train.hottest", "0 to below 1"),
    (DIGITS + 'method = "pt"\n', "train.rungs=1", "--set train.rungs", "2 or more"),
    (DIGITS, "train.data={}", "--set train.data", "exactly one of: source, path"),
    (DIGITS, "train.data={source='digits', path='x.npy'}", "--set train.data", "exactly one of"),
    (DIGITS, "train.data.source=digit", "--set train.data.source", "did you mean digits?"),
    (DIGITS, "train.data.variable=x", "--set train.data.variable", "belongs to a file (`path`)"),
    (DIGITS, "train.data.samples=10", "--set train.data.samples", 'belongs to source = "model"'),
    (TEACHER, "train.data.header=true", "--set train.data.header", 'here is source = "model"'),
    (TEACHER, "train.data.binarise=0.5", "--set train.data.binarise", 'here is source = "model"'),
    (FILE, "train.data.every=2", "--set train.data.every", "here is a file (`path`)"),
    (DIGITS, "train.data.identity=0.9", "--set train.data.identity", "belongs to weights sequence"),
    (DIGITS, "train.data.weights=w", "--set train.data.weights", "a column of a file"),
    (FILE, "train.data.identity=0", "--set train.data.identity", "above 0 to 1"),
    (FILE, "train.data.max_gaps=2", "--set train.data.max_gaps", "0 to 1"),
    (FILE, "train.data.unknown=skip", "--set train.data.unknown", "error, gap, drop"),
    (FILE, "train.data.shape=[8, 0]", "--set train.data.shape", "1 or more"),
    (FILE, "train.data.skip_columns=-1", "--set train.data.skip_columns", "0 or more"),
    (DIGITS, "train.data.binarise=smple", "--set train.data.binarise", 'a threshold, or "sample"'),
    (DIGITS, "train.data.binarise=inf", "--set train.data.binarise", "a threshold"),
    (DIGITS, "train.data.scale=[1, 1]", "--set train.data.scale", "low < high"),
    (DIGITS, "train.data.scale=[1]", "--set train.data.scale", "low < high"),
    (DIGITS, "train.data.rows=[5, 5]", "--set train.data.rows", "first < stop"),
    (DIGITS, "train.data.rows=[-5, 5]", "--set train.data.rows", "first < stop"),
    (DIGITS, "train.data.split={test=1.0}", "--set train.data.split", "train fraction above 0"),
    (DIGITS, "train.data.split={test=0.5, train=0.6}", "--set train.data.split", "sum of 1.1"),
    (DIGITS, "train.data.split.test=-0.1", "--set train.data.split.test", "0 to 1"),
    (TEACHER, "train.data.samples=0", "--set train.data.samples", "1 or more"),
    (TEACHER, "train.data.temperature=0", "--set train.data.temperature", "above zero"),
    (TEACHER, "train.data.model=skk", "study: train.data.model", "did you mean sk?"),
    (TEACHER, "train.data.set.M=3", "study: train.data.set.M", "parameters of sk"),
    (TEACHER, "train.data.set.N=true", "--set train.data.set.N", "a number"),
    (TEACHER, "train.data.set=3", "--set train.data.set", "a table of parameters"),
    (TEACHER.replace(", samples = 1000", ""), "seed=1", "study: train.data", "`samples`, which"),
    (DIGITS.replace("data =", "dat ="), "seed=1", "study: train", "did you mean data?"),
    (DIGITS, "train.data=3", "--set train.data", "a table"),
    (DIGITS, "arrays.from='r.nc'", "study: arrays", "keep one of them"),
    (DIGITS, "scan.temperature=[1, 2]", "--set scan.temperature", "nothing is sampled"),
    (DIGITS, "scan.start=['random']", "--set scan.start", "add [sample] or [observe]"),
    (DIGITS, "plot.training={by='y'}", "--set plot.training", "`y`, which `training` needs"),
    (DIGITS, "plot.training={y='u', x='v'}", "--set plot.training.x", "`training` has no x"),
    (DIGITS, "plot.training={y='u', by='method'}", "--set plot.training.by", "axes of [scan]"),
    (SAMPLED, "plot.training={y='u', by='temperature'}", "--set plot.training.by", "depends on"),
    (DIGITS, "plot.spectrum={}", "--set plot.spectrum", "`array`, which `spectrum` needs"),
    (DIGITS, "plot.spectrum={array='w'}", "study: plot.spectrum.array", "did you mean W?"),
    (DIGITS, "plot.features={array='W', count=0}", "--set plot.features.count", "1 or more"),
    (DIGITS, "plot.samples={shape=[8]}", "--set plot.samples.shape", "[rows, columns]"),
    (DIGITS, "plot.samples={theory='ags'}", "--set plot.samples.theory", "`samples` has no theory"),
    (DIGITS, "plot.training={y='u', log=1}", "--set plot.training.log", "true or false"),
    ('model = "rbm"\n', "plot.samples={}", "--set plot.samples", "needs a table [train]"),
]


@pytest.mark.parametrize(("text", "override", "where", "says"), MISTAKES)
def test_a_mistake_is_answered_by_place_value_and_remedy(text, override, where, says):
    with pytest.raises(StudyFileError) as caught:
        read(text, override)
    assert caught.value.where == where
    assert says in str(caught.value)
    assert caught.value.exit_status == 2 and caught.value.__cause__ is None


def test_what_was_written_is_shown_as_it_was_written():
    with pytest.raises(StudyFileError) as caught:
        read(DIGITS + 'method = "tap"\n', "train.learning_rate={start=1, end=2, schedule='linear'}")
    assert caught.value.got == {"start": 1.0, "end": 2.0, "schedule": "linear"}


def test_figures_of_a_training_are_called_after_what_they_show():
    text = DIGITS + (
        "[plot]\ntraining = { y = 'log_likelihood', log = true }\nspectrum = { array = 'W' }\n"
        "samples = { count = 20, shape = [8, 8] }\nfeatures = { array = 'W', count = 9 }\n"
    )
    study = read(text)
    subjects = [plot.subject for plot in study.plots]
    assert subjects == ["log_likelihood", "spectrum_W", "samples", "features_W"]
    assert study.plots[0].log and study.plots[2].shape == (8, 8)
    assert study_from_dict(study_to_dict(study)).plots == study.plots
    assert study.plots[0].theory == ()


def test_a_curve_may_show_what_the_training_recorded():
    study = read(SAMPLED + "[plot]\ncurve = { x = 'temperature', y = 'log_likelihood' }\n")
    assert study.plots[0].subject == "log_likelihood"


def test_trainable_arrays_have_names_wherever_they_are_written():
    assert ZOO["rbm"].trainable == ("W", "a", "b")
    assert ZOO["rbm_gaussian_visible"].trainable == ("v_variance", "W", "a", "b")
    text = """
[model.units]
v = { prior = "gaussian", shape = 2, variance = { values = [1, 1], trainable = true } }
[[model.terms]]
field = "v"
h = { values = [0, 0], trainable = true }
[[model.terms]]
couple = ["v", "v"]
J = { values = [[0, 0.1], [0.1, 0]] }
"""
    inline = study_from_text(text).inline
    assert inline.trainable == ("terms[0].h", "units.v.variance")


def test_the_examples_of_the_language_reference_are_legal():
    reference = (Path(__file__).parents[2] / "studies" / "README.md").read_text()
    training = reference[reference.index("## Training") :]
    table, likelihood, scan = re.findall(r"```toml\n(.*?)```", training, flags=re.DOTALL)
    table = re.sub(r"or \{.*|\| exponential", "", table)
    train = read("model = 'rbm'\n" + table + likelihood).train
    assert (train.method, train.batch, train.l1) == ("pcd", 200, {"W": 0.001})
    assert train.likelihood == LikelihoodDeclaration()
    assert len(train.ages()) == 41
    study = read(TEACHER.replace(", samples = 1000", "") + scan)
    assert [axis.name for axis in study.scan] == ["train_method", "samples", "data_temperature"]
    kinds = (TrainDeclaration, DataDeclaration, LikelihoodDeclaration)
    keys = {name for kind in kinds for name in kind.__struct_fields__}
    assert not {key for key in keys if f"`{key}" not in training and f"{key} " not in training}


def test_every_key_is_described():
    words = TrainDeclaration.__doc__
    for key in TrainDeclaration.__struct_fields__:
        if key not in ("data", "method", "learning_rate"):
            assert key in words, key
