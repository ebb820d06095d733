"""Study files: what is read, defaults, overrides, and answers to mistakes."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from physebm.errors import StudyFileError
from physebm.schema.axes import StartDeclaration
from physebm.schema.expressions import parse
from physebm.schema.model_file import read_models
from physebm.schema.study_file import (
    check_study,
    read_study,
    study_from_dict,
    study_from_text,
    study_to_dict,
)

ZOO = read_models(Path(__file__).parents[2] / "models.toml")

BASE = """
title = "Phase diagram"
model = "hopfield"
seed  = 1985
[set]
N = 512
[scan]
alpha       = { linspace = [0.01, 0.16, 6] }
start       = ["pattern", "random", { pattern = 2, overlap = 0.8 }]
disorder    = 4
temperature = { linspace = [0.1, 1.5, 15] }
[sample]
chains  = 2
discard = "sweeps / 4"
sweeps  = 1000
every   = 5
[observe]
record = ["energy", "retrieval_overlap"]
[plot]
phase_diagram = { x = "alpha", y = "temperature", z = "retrieval_overlap", theory = "ags" }
"""

INLINE = """
[model]
[model.parameters]
L = 4
[model.units]
s = { prior = "ising", shape = "L" }
[[model.terms]]
couple = ["s", "s"]
J = "1 / L"
"""


def read(text=BASE, *overrides):
    study = study_from_text(text, overrides)
    check_study(study, ZOO)
    return study


def first_point(study):
    return {axis.name: axis.values[0] for axis in study.scan}


def test_a_study_arrives_typed_in_the_order_of_the_file():
    study = read()
    assert [axis.name for axis in study.scan] == ["alpha", "start", "disorder", "temperature"]
    assert study.axis("alpha").values == (0.01, 0.04, 0.07, 0.1, 0.13, 0.16)
    assert study.axis("disorder").values == (0, 1, 2, 3)
    assert study.axis("start").coordinates == ("pattern", "random", "pattern 2 at 0.8")
    assert study.models == ("hopfield",) and study.seed == 1985
    assert study.temperature is None and study.start is None and study.tempering is None
    assert study.plots[0].theory == ("ags",)


def test_defaults_are_resolved():
    study = read('model = "sk"\n')
    assert study.sample.method == "heat-bath" and study.sample.chains == 2
    assert study.temperature.constant == 1.0 and study.start == StartDeclaration(kind="random")
    assert study.observe.record == ("energy",) and study.backend == "auto" and study.seed == 0
    assert study.title == study.name == "study"
    schedule = study.schedule_at({}, {})
    assert (schedule.discard, schedule.sweeps, schedule.every) == (500, 2000, 1)


def test_a_written_value_and_a_computed_one_are_the_same_point():
    for text in (
        "[scan]\ntemperature = { linspace = [0.1, 2.0, 20] }",
        "[scan]\ntemperature = { range = [0.1, 2.1, 0.1] }",
    ):
        values = read('model = "sk"\n' + text).axis("temperature").values
        assert values == tuple(float(f"{0.1 * i:.2g}") for i in range(1, 21))


def test_axes_agree_with_numpy():
    text = 'model = "sk"\n[scan]\nh = {{ {} = {} }}'

    def values(kind, given):
        return read(text.format(kind, given)).axis("h").values

    assert values("logspace", [-1, 1, 5]) == pytest.approx(np.logspace(-1, 1, 5), rel=1e-11)
    assert values("geomspace", [0.5, 8, 5]) == (0.5, 1.0, 2.0, 4.0, 8.0)
    assert values("range", [4, 16, 4]) == (4, 8, 12)
    assert values("range", [3, 0, -1]) == (3, 2, 1)
    assert values("linspace", [2, 3, 1]) == (2.0,)


def test_set_and_scan_give_the_parameters_of_a_point():
    study = read()
    point = first_point(study)
    assert study.parameters_at(point) == {"N": parse(512), "alpha": parse(0.01)}
    env = ZOO["hopfield"].values(study.parameters_at(point))
    assert env == {"N": 512, "alpha": 0.01, "P": 5}
    assert study.temperature_at(point, env) == 0.1


def test_the_schedule_follows_scanned_sweeps_and_parameters():
    text = 'model = "sk"\n[scan]\nsweeps = [100, 1000]\n[sample]\ndiscard = "sweeps / 3 + N"\nevery = 2'
    study = read(text)
    seen = [study.schedule_at({"sweeps": s}, {"N": 10}) for s in study.axis("sweeps").values]
    assert [(s.discard, s.sweeps, s.every) for s in seen] == [(43, 100, 2), (343, 1000, 2)]
    fixed = read('model = "sk"\n[sample]\nsweeps = "100 * N"\ndiscard = "200 / T"')
    schedule = fixed.schedule_at({}, {"N": 10, "T": 0.5})
    assert (schedule.discard, schedule.sweeps) == (400, 1000)


def test_one_value_in_place_of_a_list_is_told_how_it_is_written():
    for text, hint in (
        ('[observe]\nrecord = "energy"', 'a list of one is ["energy"]'),
        ("[scan]\nN = 4", r"a list of one is [4]; what is not scanned stands in [set]"),
        ("[scan]\nsweeps = 4", r"a list of one is [4]; what is not scanned stands in [sample]"),
        ('[scan]\ndisorder = "4"', 'a list of one is ["4"]'),
    ):
        with pytest.raises(StudyFileError, match=re.escape(hint) + "$"):
            read(f'model = "sk"\n{text}')


@pytest.mark.parametrize("key", ["discard", "sweeps", "every"])
def test_a_plain_number_of_sweeps_is_whole(key):
    """Only what an expression gives is rounded; 100.5 written is a mistake."""
    for literal in ("100.5", '"100.5"'):
        with pytest.raises(StudyFileError, match=rf"study: sample\.{key}\n  got +100\.5\n") as caught:
            read(f'model = "sk"\n[sample]\n{key} = {literal}')
        assert "a whole number" in str(caught.value) and "is rounded" in str(caught.value)
    study = read(f'model = "sk"\n[sample]\n{key} = "201 / 2"')
    assert getattr(study.schedule_at({}, {"N": 10}), key) == 100


def test_a_schedule_that_measures_nothing_or_runs_in_a_circle_is_refused():
    for sample, says in (
        ("every = 3000", "nothing would be measured"),
        ("every = 0", "1 or more"),
        ('discard = "-sweeps"', "0 or more"),
        ('sweeps = "4 * discard"', "discard -> sweeps -> discard"),
        ("sweeps = -5", r"sample\.sweeps\n  got +-5\n"),  # not the quarter that is discarded
    ):
        study = read(f'model = "sk"\n[sample]\n{sample}')
        with pytest.raises(StudyFileError, match=says):
            study.schedule_at({}, {"N": 10})


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        'model = "sk"\n',
        INLINE,
        "seed = 3\n[scan]\nmodel = ['rbm', 'rbm_gaussian_hidden']\n",
        BASE.replace("sweeps  = 1000\n", "").replace("disorder    = 4", "sweeps = [10, 100]"),
        BASE + "[tempering]\nladder = 'as-scanned'\n[clamp]\ns = [1, nan, -1]\n",
        'model = "rbm"\n[clamp]\nv = { file = "v.npy" }\n[arrays]\nfrom = "r.nc"\n'
        '[set]\nstart = { file = "x.npy" }\ntemperature = "1 / 0.44"\nNv = "2 * Nh"',
    ],
)
def test_a_study_written_out_with_its_defaults_reads_back_as_itself(text):
    study = read(text)
    written = study_to_dict(study)
    again = study_to_dict(study_from_dict(written))
    assert repr(again) == repr(written)  # repr: nan is legal in a clamp
    assert written["sample"]["method"] == "heat-bath" and written["backend"] == "auto"
    assert "temperature" in written["set"] or "temperature" in written["scan"]


def test_reading_and_writing_leave_the_raw_tables_as_they_are():
    raw = {"model": "sk", "scan": {"h": [0.0, 1.0]}}
    study_from_dict(raw, ["h=3", "sample.chains=4"])
    assert raw == {"model": "sk", "scan": {"h": [0.0, 1.0]}}


def test_a_study_is_named_after_its_file(tmp_path):
    path = tmp_path / "hopfield_phase.toml"
    path.write_text(BASE)
    study = read_study(path, ["N=64"])
    assert study.name == "hopfield_phase" and study.directory == str(tmp_path)
    assert study.set["N"].constant == 64
    with pytest.raises(StudyFileError, match="no such file"):
        read_study(tmp_path / "nothing.toml")


def test_an_inline_model_stands_in_the_study():
    study = read(INLINE + "[scan]\nL = [4, 8]\n", "model.parameters.L=6")
    assert study.models == ("model",) and study.inline.values() == {"L": 6}
    with pytest.raises(StudyFileError, match=r"model\.units\.s\.prior"):
        read(INLINE.replace('"ising"', '"isng"'))


def test_a_bare_name_sets_a_parameter_and_fixes_a_scanned_one():
    study = read(BASE, "N=64", "alpha=0.1")
    assert study.set["N"].constant == 64 and study.set["alpha"].constant == 0.1
    assert study.axis("alpha") is None and study.plots == ()
    study = read(BASE, "temperature=0.5")
    assert study.temperature.constant == 0.5 and study.axis("temperature") is None
    study = read(BASE, "start=all-up")
    assert study.start.kind == "all-up" and len(study.plots) == 1


def test_dotted_overrides_reach_every_key():
    study = read(
        BASE,
        "scan.alpha=[0.05]",
        "sample.sweeps=50",
        "disorder=2",
        "seed=3",
        "model=hopfield_gaussian",
        'sample.discard="2 * sweeps"',
        "tempering.every=2",
        "scan.N={range = [8, 24, 8]}",
    )
    assert study.axis("alpha").values == (0.05,) and study.axis("disorder").values == (0, 1)
    assert study.seed == 3 and study.models == ("hopfield_gaussian",) and study.tempering.every == 2
    assert study.axis("N").values == (8, 16) and "N" not in study.set
    assert study.schedule_at({}, {}).discard == 100


MISTAKES = [
    # override of BASE, where, piece of the message
    ("temperature=0", "--set set.temperature", "above zero"),
    ("temperature=-1", "--set set.temperature", "above zero"),
    ('temperature="T"', "--set set.temperature", "define T by itself"),
    ("T=3", "--set set.T", "temperature"),
    ("beta=3", "--set set.beta", "reserved"),
    ("scan.beta=[1]", "--set scan.beta", "temperature"),
    ("sweeps=3", "--set set.sweeps", "sample.sweeps"),
    ("N=nan", "--set set.N", "finite"),
    ("N=true", "--set set.N", "a number"),
    ("N=[1", "--set set.N", "TOML value"),
    ("N=12\nx=3", "--set set.N", "TOML value"),
    ("N=", "--set", "KEY=VALUE"),
    ("nonsense", "--set", "KEY=VALUE"),
    ("title.x=3", "--set title.x", "no table"),
    ("seed=1.5", "--set seed", "an integer"),
    ("backend=numbaa", "--set backend", "did you mean numba?"),
    ("sampel.chains=3", "--set sampel.chains", "did you mean sample?"),
    ("sample.chans=3", "--set sample.chans", "did you mean chains?"),
    ("sample.chains=0", "--set sample.chains", "1 or more"),
    ("sample.chains=true", "--set sample.chains", "an integer"),
    ("sample.method=wollf", "--set sample.method", "did you mean wolff?"),
    ("sample.every=true", "--set sample.every", "a number"),
    ("scan.alpha=[]", "--set scan.alpha", "at least one"),
    ("scan.alpha=[1, 1.0]", "--set scan.alpha[1]", "entry 0"),
    ("scan.alpha=[0.1, inf]", "--set scan.alpha[1]", "finite"),
    ("scan.alpha={linspace=[0, 1]}", "--set scan.alpha.linspace", "[first, last, count]"),
    ("scan.alpha={linspace=[0, 1, 2.5]}", "--set scan.alpha.linspace[2]", "a count"),
    ("scan.alpha={linspace=[0, 1, 1000000000]}", "--set scan.alpha.linspace[2]", "a count"),
    ("scan.alpha={range=[0, 1, 0]}", "--set scan.alpha.range", "step"),
    ("scan.alpha={range=[0, 1, 1e-9]}", "--set scan.alpha.range", "100000"),
    ("scan.alpha={geomspace=[0, 1, 3]}", "--set scan.alpha.geomspace", "above zero"),
    ("scan.alpha={logspace=[0, 999, 3]}", "--set scan.alpha.logspace", "powers of ten"),
    ("scan.alpha={linspac=[0, 1, 2]}", "--set scan.alpha", "did you mean linspace?"),
    ("scan.alpha=3", "--set scan.alpha", "a list of values"),
    ("scan.temperature=[0.5, 0]", "--set scan.temperature[1]", "zero-temperature"),
    ("disorder=0", "--set scan.disorder", "realisations"),
    ("scan.disorder=[0, 0.5]", "--set scan.disorder[1]", "whole"),
    ("scan.start=[]", "--set scan.start", "at least one"),
    ('scan.start=["ranom"]', "--set scan.start[0]", "did you mean random?"),
    ("start={pattern=0, overlap=2}", "--set set.start.overlap", "-1 to 1"),
    ("start={overlap=0.5}", "--set set.start", "exactly one of"),
    ("start=file", "--set set.start", "write a table"),
    ("scan.chains=[1, 2]", "--set scan.chains", "[sample]"),
    ("scan.sweeps=[1, 2]", "study: sample.sweeps", "is scanned"),
    ('observe.record=["energyy"]', "--set observe.record[0]", "did you mean energy?"),
    ('observe.record=["magnetization"]', "--set observe.record[0]", "did you mean magnetisation?"),
    ('observe.record=["entropy"]', "--set observe.record[0]", "come from a table [free_energy]"),
    ('observe.record=["energy", "energy"]', "--set observe.record[1]", "already"),
    ('observe.record=["energy_tau"]', "--set observe.record[0]", "every observable"),
    ("train.method=pcd", "study: train", "a key `data`, which is missing"),
    ("free_energy.method=asi", "--set free_energy.method", "did you mean ais?"),
    ('tempering.ladder="adaptve"', "--set tempering.ladder", "did you mean adaptive?"),
    ("tempering.acceptance=1.5", "--set tempering.acceptance", "between 0 and 1"),
    ("plot.curve={x='alpha', y='binder'}", "--set plot.curve.y", "recorded"),
    ("plot.curve={x='alhpa', y='energy'}", "--set plot.curve.x", "did you mean alpha?"),
    ("plot.curv={x='alpha', y='energy'}", "--set plot.curv", "did you mean curve?"),
    ("plot.histogram={x='energy', y='alpha'}", "--set plot.histogram.y", "no y"),
    ("clamp.s='up'", "--set clamp.s", "a table"),
    ("clamp.z=[1, 2]", "study: clamp", "expected  s"),
    ("clamp.s={law='normal'}", "--set clamp.s", "file"),
    ("model=hopfild", "study: model", "did you mean hopfield?"),
    ("M=3", "study: set.M", "parameters of hopfield"),
    ("N='2 * Q'", "study: set.N", "expected"),
    ('sample.discard="sweep / 4"', "study: sample.discard", "did you mean sweeps?"),
]


@pytest.mark.parametrize(("override", "where", "says"), MISTAKES)
def test_a_mistake_is_answered_by_place_value_and_remedy(override, where, says):
    with pytest.raises(StudyFileError) as caught:
        read(BASE, override)
    assert caught.value.where == where
    assert says in str(caught.value)
    assert caught.value.exit_status == 2 and caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("", "study: model", "the name of a model"),
        ("model = 3", "study: model", "the name of a model"),
        ("model = 'sk'\n[scan]\nmodel = ['sk']", "study: model", "is scanned"),
        ("model = 'sk'\nx = 3", "study", "expected"),
        ("model = 'sk'\n[set]\nh = 1\n[scan]\nh = [0, 1]", "study: set.h", "keep one"),
        (
            "model = 'sk'\n[set]\ntemperature=1\n[scan]\ntemperature=[1]",
            "study: set.temperature",
            "keep one",
        ),
        ("model = 'sk'\n[tempering]", "study: tempering", "two values"),
        ("model = 'sk'\nset = 3", "study: set", "a table"),
        (
            "model = 'sk'\n[scan]\ntemperature = [1.0]\n[sample]\nmethod = 'zero-temperature'",
            "study: scan.temperature",
            "no temperature",
        ),
        (
            "model = 'sk'\n[sample]\nchains = 1\n[observe]\nrecord = ['energy', 'replica_overlap']",
            "study: observe.record[1]",
            "compares two chains",
        ),
        (
            "model='sk'\n[sample]\nsweeps='100 / T'\n[tempering]\n[scan]\ntemperature=[1, 2]",
            "study: sample.sweeps",
            "tempered",
        ),
        ("model = 'sk'\n[plot]\nphase_diagram = { x = 'h' }", "study: plot.phase_diagram", "`y`"),
        ("model = 'sk'\nmodel = 'sk'", "study", "line 2"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(text, where, says):
    with pytest.raises(StudyFileError) as caught:
        read(text)
    assert caught.value.where == where
    assert says in str(caught.value)


def test_a_temperature_from_parameters_is_checked_at_the_point():
    study = read('model = "sk"\n[set]\ntemperature = "h - 1"\n[scan]\nh = [0.5, 3.0]')
    assert study.temperature_at({}, {"h": 3.0}) == 2.0
    with pytest.raises(StudyFileError, match="above zero"):
        study.temperature_at({}, {"h": 0.5})


def test_a_clamp_may_leave_units_free():
    values = read(BASE + "[clamp]\ns = [1, nan, -1]").clamp["s"].values
    assert values[0] == 1 and math.isnan(values[1])
