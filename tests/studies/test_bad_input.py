"""Every mistake of a user ends in one message with place, value and remedy; and nothing is lost."""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from study_files import write

from physebm.cli import main

STUDY = """
model = "ising_2d"
seed  = 1
[set]
L = 4
[scan]
temperature = [2.0, 2.5]
[sample]
chains  = 2
discard = 8
sweeps  = 64
[observe]
record = ["energy"]
"""

OWN = """
[m.parameters]
N = 4
[m.units]
s = { prior = "ising", shape = "N" }
[m.arrays]
J = { law = "normal", std = 1.0, shape = ["N", "N"] }
[[m.terms]]
couple = ["s", "s"]
J = "J"
"""

GAUSSIANS = """
[m.units]
v = { prior = "gaussian", shape = 4, visible = true }
h = { prior = "gaussian", shape = 4 }
[[m.terms]]
couple = ["v", "h"]
J = 3.0
"""


def invoked(*arguments):
    """What the command did; any exception but the exit itself is a traceback for the user."""
    done = CliRunner().invoke(main, [str(each) for each in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def physebm(*arguments):
    """Exit status and output."""
    done = invoked(*arguments)
    return done.exit_code, done.output


def refused(folder, *arguments):
    """The message of a run that must be refused as bad input and leave nothing behind."""
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    done = invoked(*arguments)
    text = done.stderr
    after = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert done.exit_code == 2, text
    assert re.fullmatch(r"(backend  .*\n)?", done.stdout), done.stdout
    assert before == after and not list(folder.rglob("*.work"))
    assert "Traceback" not in text and re.match(r"\w+Error: ", text), text
    return text


def run(folder, text, *options, models=None):
    path = write(folder, text)
    if models is not None:
        write(folder, models, "models.toml")
    return refused(folder, "run", path, "--out", folder / "r.nc", *options)


def changed(old, new, text=STUDY):
    assert old in text, old
    return text.replace(old, new)


TEMPERATURES = "temperature = [2.0, 2.5]"
METHOD = "chains  = 2\nmethod = "
IN_STUDY = {
    "top-level key": (changed("seed ", "sead "), "study.toml", '"sead"', "did you mean seed?"),
    "key": (changed("chains", "chain"), "sample", '"chain"', "did you mean chains?"),
    "parameter": (changed("L = 4", "l = 4"), "set.l", "parameters of ising_2d", "did you mean L?"),
    "observable": (changed('"energy"', '"enrgy"'), "observe.record[0]", "did you mean energy?"),
    "model": (changed("ising_2d", "ising_2"), "model", '"ising_2"', "did you mean ising_2d?"),
    "method": (changed("chains  = 2", f'{METHOD}"heatbath"'), "sample.method", "mean heat-bath?"),
    "backend": (changed("seed  = 1", 'backend = "nmba"'), "backend", "did you mean numba?"),
    "theory": (
        STUDY + '[plot]\ncurve = { x = "temperature", y = "energy", theory = "onsagr" }',
        *("plot.curve.theory", "did you mean onsager?"),
    ),
    "plotted axis": (
        STUDY + '[plot]\ncurve = { x = "temprature", y = "energy" }',
        *("plot.curve.x", "did you mean temperature?"),
    ),
    "start": (changed("L = 4", 'L = 4\nstart = "randm"'), "set.start", "did you mean random?"),
    "nan": (changed("L = 4", "L = 4\nJ = nan"), "set.J", "nan", "a finite number"),
    "inf": (changed("2.5]", "inf]"), "scan.temperature[1]", "inf", "a finite number"),
    "negative size": (changed("L = 4", "L = -4"), "set.L", "L = -4", "one or more"),
    "no whole size": (changed("L = 4", "L = 4.5"), "set.L", "L = 4.5", "length of the units s"),
    "own neighbour": (changed("L = 4", "L = 1"), "ising_2d.terms[0].on", "length 1", "at least 2"),
    "huge size": (changed("L = 4", "L = 1e9"), "ising_2d.units.s.shape", "at most 2147483647 units"),
    "huge seed": (changed("= 1\n", f"= {2**80}\n"), "seed", "at most 63 bits"),
    "bomb": (changed("L = 4", 'L = "9**9**9**9**9"'), "set.L", "not a finite number"),
    "deep bomb": (changed("L = 4", f'L = "{"(" * 300}1"'), "set.L", "not an arithmetic expression"),
    "code": (changed("L = 4", 'L = "__import__(1)"'), "set.L", "there is no function __import__"),
    "empty axis": (changed("[2.0, 2.5]", "[]"), "scan.temperature", "at least one value"),
    "empty linspace": (
        changed("[2.0, 2.5]", "{ linspace = [1, 2, 0] }"),
        *("scan.temperature.linspace[2]", "a count"),
    ),
    "same value twice": (changed("2.5]", "2.0]"), "scan.temperature[1]", "entry 0 has this value"),
    "zero temperature": (changed("2.0,", "0.0,"), "scan.temperature[0]", '"zero-temperature"'),
    "T": (changed("temperature", "T"), "scan.T", "expected  temperature", "reserved"),
    "few draws": (changed("= 64", "= 30"), "sample.sweeps", "30 draws", "at least 64 draws"),
    "no quotes": (
        changed('"ising_2d"', "ising_2d"),
        *("study.toml", "model = ising_2d", 'texts stand in quotes: model = "ising_2d"'),
    ),
    "other theory": (
        STUDY + '[plot]\ncurve = { x = "temperature", y = "energy", theory = "parisi" }',
        *("plot.curve.theory", '"parisi"', "expected  kaufman, onsager, exact", "quenched"),
    ),
    "syntax": (changed("[scan]", "[scan"), "study.toml", "at line 6, column 6"),
    "models file": (changed("seed  = 1", 'models = "no.toml"'), "models", '"no.toml"', "no file"),
    "clamp file": (STUDY + '[clamp]\ns = { file = "v.npy" }', "clamp.s.file", '"v.npy"', "no file"),
    "clamp group": (STUDY + '[clamp]\nv = { file = "v.npy" }', "clamp", '"v"', "expected  s"),
    "clamp shape": (STUDY + "[clamp]\ns = [1, 1, 1]", "clamp.s", "shape [3]", "shape [4, 4]"),
    "clamp state": (STUDY + f"[clamp]\ns = {[1] * 15 + [2]}", "clamp.s", "2.0", "states [-1, 1]"),
    "start file": (
        changed("L = 4", 'L = 4\nstart = { file = "x.npy" }'),
        *("start.file", '"x.npy"', "relative to the TOML"),
    ),
    "pattern start": (
        changed("L = 4", 'L = 4\nstart = "pattern"'),
        *("start", '"pattern"', "ising_2d has no patterns"),
    ),
    "pattern overlap": (changed('"energy"', '"retrieval_overlap"'), "observe.record", "no patterns"),
    "overlap of one chain": (
        changed("chains  = 2", "chains = 1").replace('"energy"', '"replica_overlap"'),
        *("observe.record[0]", "compares two chains"),
    ),
    "two colours, odd": (
        changed("L = 4", "L = 5").replace("chains  = 2", "chains = 2\ncolours = 2"),
        *("sample.colours", "odd periodic length 5", "drawn together"),
    ),
    "wolff, field": (
        changed("L = 4", "L = 4\nh = 0.3").replace("chains  = 2", f'{METHOD}"wolff"'),
        *("sample.method", "terms[1] is a field", "heat-bath"),
    ),
    "wolff, frustrated": (
        changed("ising_2d", "edwards_anderson_2d").replace("chains  = 2", f'{METHOD}"wolff"'),
        *("sample.method", "frustrated bonds"),
    ),
    "swendsen-wang, antiferromagnet": (
        changed("L = 4", "L = 4\nJ = -1.0").replace("chains  = 2", f'{METHOD}"swendsen-wang"'),
        *("sample.method", "negative couplings", "1 - exp(-c w)"),
    ),
    "wolff, coupling of states": (
        changed("ising_2d", "potts_machine")
        .replace("L = 4", "")
        .replace("chains  = 2", f'{METHOD}"wolff"'),
        *("sample.method", "wolff"),
    ),
    "metropolis, gaussian": (
        changed("ising_2d", "rbm_gaussian_hidden")
        .replace("L = 4", "")
        .replace("chains  = 2", f'{METHOD}"metropolis"'),
        *("sample.method", "group 'h' is gaussian", "drawn exactly"),
    ),
    "zero temperature, scanned": (
        changed("chains  = 2", f'{METHOD}"zero-temperature"'),
        *("scan.temperature", "has no temperature"),
    ),
    "fluctuations without temperature": (
        changed(TEMPERATURES, "")
        .replace("[scan]", "")
        .replace("chains  = 2", f'{METHOD}"zero-temperature"')
        .replace('"energy"', '"energy", "binder"'),
        *("observe.record[1]", '"binder"', "no fluctuations"),
    ),
    "no patterns": (
        changed("ising_2d", "hopfield").replace("L = 4", 'N = 9\nalpha = 0.01\nstart = "pattern"'),
        *("start", "pattern 0", "parameters at which there are patterns"),
    ),
    "probability": (
        changed("ising_2d", "edwards_anderson_2d").replace("L = 4", "L = 4\np = 1.5"),
        *("arrays.J.p", "1.5", "a probability, 0 to 1"),
    ),
    "odd regular graph": (
        changed("ising_2d", "random_regular_spin_glass").replace("L = 4", "N = 5"),
        *("random_regular_spin_glass.terms[0].on", "5 units of degree 3", "an even product"),
    ),
    "minute temperature": (changed("2.0,", "1e-310,"), "scan.temperature[0]", "1e-50 to 1e+50"),
    "too many points": (
        changed("[2.0, 2.5]", "{ linspace = [1, 2, 2000] }\nJ = { linspace = [1, 2, 2000] }"),
        *("scan", "4000000 points", "at most 1000000"),
    ),
    "tempering, no axis": (
        changed(TEMPERATURES, "").replace("[scan]", "") + "[tempering]",
        *("tempering", "a scanned `temperature`"),
    ),
}


@pytest.mark.parametrize("mistake", IN_STUDY)
def test_a_mistake_in_a_study_is_answered_by_place_value_and_remedy(tmp_path, mistake):
    text, *says = IN_STUDY[mistake]
    message = run(tmp_path, text)
    assert all(each in message for each in says), message


MINE = changed("ising_2d", "m").replace("L = 4", "")
GIVEN = 'law = "normal", std = 1.0, shape = ["N", "N"]'
IN_MODEL = {
    "unit": (changed('["s", "s"]', '["s", "ss"]', OWN), "m.terms[0].couple[1]", '"ss"', "mean s?"),
    "shape": (changed('["N", "N"]', '["N", 3]', OWN), "m.arrays.J.shape", "[4, 3]", "[4, 4]"),
    "cycle": (changed("N = 4", 'N = "K"\nK = "N"', OWN), "m.parameters.N", "N -> K -> N"),
    "array file": (changed(GIVEN, 'file = "J.npy"', OWN), "m.arrays.J.file", '"J.npy"', "no file"),
    "edges file": (
        changed('J = "J"', 'on = { edges = { file = "e.npy" } }\nJ = 1.0', OWN),
        *("m.terms[0].on.edges.file", '"e.npy"', "no file"),
    ),
    "nan in place": (
        changed(GIVEN, "values = [[0.0, nan], [nan, 0.0]]", OWN).replace("N = 4", "N = 2"),
        *("m.arrays.J.values[0][1]", "nan", "a finite number"),
    ),
    "not symmetric": (
        changed(GIVEN, "values = [[0, 1], [2, 0]]", OWN).replace("N = 4", "N = 2"),
        *("models.toml: m.arrays.J", "mirror image"),
    ),
    "self-coupling": (
        changed(GIVEN, "values = [[1, 0], [0, 0]]", OWN).replace("N = 4", "N = 2"),
        *("models.toml: m.arrays.J", "zero diagonal"),
    ),
    "not positive": (GAUSSIANS, "models.toml: m.terms[0]", "eigenvalue -5", "T = 2", "positive"),
}


@pytest.mark.parametrize("mistake", IN_MODEL)
def test_a_mistake_in_a_model_is_answered_by_place_value_and_remedy(tmp_path, mistake):
    text, *says = IN_MODEL[mistake]
    message = run(tmp_path, MINE, models=text)
    assert message.startswith(f"ModelFileError: {tmp_path}/models.toml"), message
    assert all(each in message for each in says), message


def test_arrays_in_files_are_checked_like_those_in_place(tmp_path):
    own = changed(GIVEN, 'file = "J.npy"', OWN)
    for values, says in (
        (np.full((4, 4), np.inf), "non-finite value at [0, 0]"),
        (np.zeros((3, 4)), "[3, 4]"),
        (np.array(["a"]), "expected  numbers"),
    ):
        np.save(tmp_path / "J.npy", values)
        assert says in run(tmp_path, MINE, models=own)
    (tmp_path / "J.npy").write_bytes((tmp_path / "J.npy").read_bytes()[:50])
    assert "cannot be read" in run(tmp_path, MINE, models=own)
    np.save(tmp_path / "v.npy", np.array([1.0, np.inf, np.nan, 1.0]))
    clamped = MINE + '[clamp]\ns = { file = "v.npy" }'
    assert "non-finite value at [1]" in run(tmp_path, clamped, models=OWN)


SET = {
    "L": ("--set", "KEY=VALUE"),
    "LL=4": ("--set set.LL", '"LL"', "did you mean L?"),
    "smple.sweeps=64": ("--set smple.sweeps", '"smple"', "did you mean sample?"),
    "sample.sweep=64": ("--set sample.sweep", '"sweep"', "did you mean sweeps?"),
    "L=[4": ("--set set.L", '"[4"', "a TOML value"),
    "L=four": ("--set set.L", '"four"', "a number, or an expression of L, J, h"),
    "L=[4, 8]": ("--set set.L", "[4, 8]", "--set 'scan.L=[4, 8]'"),
    "L=0": ("--set set.L", "L = 0", "one or more"),
    "seed.x=4": ("--set seed.x", "seed is no table"),
    "disorder=0": ("--set scan.disorder", "a number of realisations"),
    "temperature=0": ("--set set.temperature", "above zero"),
    "model=isng_2d": ("--set model", '"isng_2d"', "did you mean ising_2d?"),
}


@pytest.mark.parametrize("override", SET)
def test_a_wrong_override_is_found_where_it_was_written(tmp_path, override):
    message = run(tmp_path, STUDY, "--set", override)
    assert all(each in message for each in SET[override]), message


def test_a_wrong_path_is_named_with_its_neighbours(tmp_path):
    write(tmp_path, STUDY)
    assert "did you mean study.toml?" in refused(tmp_path, "run", tmp_path / "studi.toml")
    message = refused(tmp_path, "run", tmp_path)
    assert "a folder" in message and "study.toml" in message
    for command in ("run", "status", "estimate"):
        assert "no such study file" in refused(tmp_path, command, tmp_path / "no" / "x.toml")
    assert "no such file" in refused(tmp_path, "plot", tmp_path / "x.nc")
    assert "a folder" in refused(tmp_path, "plot", tmp_path)
    assert "there is no such file" in refused(tmp_path, "models", "--models", tmp_path / "x.toml")


def test_a_result_and_a_study_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    write(tmp_path / "studies", STUDY, "glass.toml")
    write(tmp_path, OWN, "models.toml")
    (tmp_path / "results").mkdir()
    for command in ("run", "estimate"):
        (tmp_path / "results" / "glass.nc").touch()
        message = refused(tmp_path, command, "results/glass.nc")
        assert "this is a result" in message and "physebm plot results/glass.nc" in message
    for command in (("plot",), ("score", "x.npy"), ("generate", "--samples", 3, "--out", "x.npy")):
        message = refused(tmp_path, command[0], "studies/glass.toml", *command[1:])
        assert "its result is results/glass.nc" in message
    message = refused(tmp_path, "run", "glass")
    assert "did you mean studies/glass.toml?" in message and "models.toml" not in message
    assert "did you mean" not in refused(tmp_path, "run", "studies/two.toml")
    assert "did you mean results/glass.nc?" in refused(tmp_path, "plot", "glas.nc")


def test_status_of_a_result_says_whose_it_is(tmp_path):
    path, out = write(tmp_path, STUDY), tmp_path / "new" / "r.nc"
    status, text = physebm("run", path, "--set", "L=3", "--out", out)
    assert status == 0 and f"{out.parent} was made for it" in text and "[plot] asks for none" in text
    status, text = physebm("status", out)
    assert status == 0 and text.startswith("complete: ") and "2 points; equilibrated" in text
    assert "median error" in text
    message = refused(tmp_path, "status", path, "--out", out)
    assert f"physebm status {out}" in message and "set.L = 3 -> 4" in message
    assert "--restart" not in message


@pytest.mark.parametrize("command", ["show", "check"])
def test_an_unknown_model_has_a_nearest_name(tmp_path, command):
    assert "did you mean hopfield?" in refused(tmp_path, command, "hopfeld")


def test_parameters_of_show_are_checked(tmp_path):
    assert "did you mean N?" in refused(tmp_path, "show", "hopfield", "--set", "n=3")
    assert "expected  N, alpha, P" in refused(tmp_path, "show", "hopfield", "--set", "models=3")
    assert "NAME=VALUE" in refused(tmp_path, "show", "hopfield", "--set", "N")
    for value in ("-3", "20.5", "0"):
        message = refused(tmp_path, "show", "sk", "--set", f"N={value}")
        assert "--set N" in message and f"N = {value}" in message and "models.toml" not in message


def test_options_and_commands_are_refused_with_the_nearest(tmp_path):
    path = write(tmp_path, STUDY)
    for arguments, says in (
        (("runn", path), "Did you mean 'run'?"),
        (("run", path, "--restrt"), "--restart"),
        (("run", path, "--workers", "0"), "0 is not in the range"),
        (("run", path, "--backend", "nmba"), "'nmba' is not one of 'auto', 'numba', 'cuda'"),
        (("show", "hopfield", "--stage", "plans"), "'plans' is not one of"),
        (("show", "hopfield", "--method", "gibbs"), "'gibbs' is not one of"),
    ):
        status, text = physebm(*arguments)
        assert status == 2 and says in text and text.startswith("Usage: physebm")


# ---- where the result goes ----------------------------------------------------------------------


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(tmp_path):
    path = write(tmp_path, STUDY)
    below = refused(tmp_path, "run", path, "--out", path / "r.nc")
    assert f"--out {path / 'r.nc'}" in below and "study.toml is a file, not a folder" in below
    assert "ends in .nc" in refused(tmp_path, "run", path, "--out", tmp_path)
    (tmp_path / "r.nc").mkdir()
    assert "a folder" in refused(tmp_path, "run", path, "--out", tmp_path / "r.nc")


def test_a_foreign_file_is_left_alone_also_by_restart(tmp_path):
    path = write(tmp_path, STUDY)
    (tmp_path / "r.nc").write_text("my thesis")
    for options in ((), ("--restart",)):
        message = refused(tmp_path, "run", path, "--out", tmp_path / "r.nc", *options)
        assert "nothing was overwritten" in message
    (tmp_path / "r.nc").unlink()
    (tmp_path / "s.work").mkdir()
    (tmp_path / "s.work" / "thesis.tex").write_text("my thesis")
    status, message = physebm("run", path, "--out", tmp_path / "s.nc")
    assert status == 2 and "a folder that physebm did not make" in message
    assert [each.name for each in (tmp_path / "s.work").iterdir()] == ["thesis.tex"]


def test_a_result_of_another_study_is_left_alone_also_by_restart(tmp_path):
    path = write(tmp_path, STUDY)
    out = ("--out", tmp_path / "r.nc")
    assert physebm("run", path, *out, "--backend", "numba")[0] == 0
    again = physebm("run", path, *out, "--backend", "reference")[1]
    assert "complete already, made by numba on " in again and "; nothing was run (--restart" in again
    for options in ((), ("--restart",)):
        message = refused(tmp_path, "run", path, *out, "--set", "seed=2", *options)
        assert "a result of another study" in message and "choose another --out" in message


def test_a_study_mended_after_a_mistake_runs_in_the_same_place(tmp_path):
    write(tmp_path, STUDY + '[clamp]\ns = { file = "v.npy" }')
    out = ("--out", tmp_path / "r.nc")
    assert physebm("run", tmp_path / "study.toml", *out)[0] == 2
    assert physebm("run", write(tmp_path, STUDY), *out)[0] == 0


def test_help_says_what_every_command_and_option_does():
    status, text = physebm("--help")
    listed = text.split("Commands:")[1]
    assert status == 0 and "..." not in listed and set(listed.split()) >= set(main.commands)
    for command in main.commands:
        status, text = physebm(command, "--help")
        assert status == 0
        for parameter in main.commands[command].params:
            if parameter.param_type_name == "option":
                assert parameter.help, f"{command} {parameter.opts}"
            else:
                assert parameter.human_readable_name in text.split("Options:")[0], command


def test_the_error_of_a_worker_is_the_error_of_the_run(tmp_path):
    text = changed(TEMPERATURES, "L = [4, 5]\ntemperature = [2.0]").replace("[set]\nL = 4", "")
    path = write(tmp_path, changed("chains  = 2", "chains = 2\ncolours = 2", text))
    status, message = physebm("run", path, "--out", tmp_path / "r.nc", "--workers", 2)
    assert status == 2 and "study.toml: sample.colours" in message


def test_figures_of_another_study_are_refused_by_the_axes_of_the_result(tmp_path):
    path, out = write(tmp_path, STUDY), tmp_path / "r.nc"
    fixed = ("--set", "temperature=2.0", "--out", out)
    assert physebm("run", path, *fixed)[0] == 0
    other = write(
        tmp_path, f'{STUDY}[plot]\ncurve = {{ x = "temperature", y = "energy" }}', "other.toml"
    )
    message = refused(tmp_path, "plot", out, "--study", other)
    assert "plot.curve.x" in message and "this result has no axis temperature" in message
