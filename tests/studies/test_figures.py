"""Figures of results: what is drawn comes from the result alone, and theory sits at its parameters."""

from itertools import product

import numpy as np
import pytest
from matplotlib.image import imread

from physebm.errors import ResultFileError, StudyFileError
from physebm.schema.plot_declarations import PlotDeclaration
from physebm.schema.study_file import study_from_text
from physebm.storage.dataset import summary_dataset
from physebm.storage.netcdf import write_tree
from physebm.study.figures import Drawn, draw_figures
from physebm.study.models import load_model
from physebm.study.runner import run_study
from physebm.study.theory_curves import THEORIES, addresses, check_theories
from physebm.theory import hopfield, ising2d

ISING = """
model = "ising_2d"
[scan]
L = [2, 3]
temperature = [2.0, 2.5, 3.0]
[sample]
chains = 2
discard = 4
sweeps = 64
[observe]
record = ["energy", "binder", "specific_heat"]
[[plot.curve]]
x = "temperature"
y = "energy"
by = "L"
theory = ["kaufman", "onsager"]
[[plot.curve]]
x = "L"
y = "energy"
panel = "temperature"
theory = "kaufman"
"""

HOPFIELD = """
model = "hopfield"
[scan]
N = [16, 32]
alpha = [0.07, 0.1]
start = ["pattern", "random"]
temperature = [0.2, 0.6, 1.2]
[sample]
chains = 2
discard = 4
sweeps = 64
[observe]
record = ["energy", "retrieval_overlap"]
[plot]
curve = { x = "temperature", y = "retrieval_overlap", by = "alpha", panel = "start", theory = "ags" }
"""

RECALL = """
[model]
[model.units]
s = { prior = "ising", shape = [2, 3] }
[[model.terms]]
couple = ["s", "s"]
patterns = "xi"
[model.arrays]
xi = { shape = [1, 2, 3], values = [[[1, 1, -1], [-1, 1, 1]]] }
[scan]
start = [{ pattern = 0, overlap = 0.67 }, "random"]
[sample]
method = "zero-temperature"
sweeps = 4
[observe]
record = ["retrieval_overlap"]
states = true
"""


def result_of(folder, name, text, overrides=()):
    """Run a study whose file is gone afterwards."""
    path = folder / f"{name}.toml"
    path.write_text(text)
    outcome = run_study(path, overrides, out=folder / f"{name}.nc", backend="reference")
    path.unlink()
    return outcome.result


@pytest.fixture(scope="module")
def ising(tmp_path_factory):
    return result_of(tmp_path_factory.mktemp("ising"), "ising", ISING)


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    return result_of(tmp_path_factory.mktemp("memory"), "memory", HOPFIELD, ["scan.N=[32]"])


def lines_of(ax):
    """Lines drawn without markers, longer than two points."""
    return [
        line
        for line in ax.get_lines()
        if line.get_marker() == "None" and line.get_linestyle() != "None" and len(line.get_xdata()) > 9
    ]


def test_a_result_is_drawn_from_its_file_alone_and_named_after_it(ising, tmp_path):
    files = draw_figures(ising, tmp_path / "new")
    assert [file.name for file in files] == ["ising_energy.png", "ising_energy_over_L.png"]
    assert all(imread(file).shape[0] > 400 for file in files)


def test_finite_size_theory_takes_the_size_of_its_points_and_the_limit_stands_alone(ising):
    drawn = Drawn(ising)
    ((where, plot), _) = addresses(drawn.study)
    (ax,) = drawn.figure(plot, where).axes
    two, three, infinite = lines_of(ax)
    for line, exact in (
        (two, lambda beta: ising2d.torus_energy(beta, 2)),
        (three, lambda beta: ising2d.torus_energy(beta, 3)),
        (infinite, ising2d.onsager_energy),
    ):
        temperature, energy = line.get_data()
        assert (temperature.min(), temperature.max()) == (2.0, 3.0)
        np.testing.assert_allclose(energy, exact(1 / temperature), rtol=1e-14)


def test_theory_over_a_parameter_stands_at_the_points_of_its_panel(ising):
    drawn = Drawn(ising)
    _, (where, plot) = addresses(drawn.study)
    for ax, temperature in zip(drawn.figure(plot, where).axes, (2.0, 2.5, 3.0)):
        (line,) = [line for line in ax.get_lines() if line.get_color() == "black"]
        exact = [ising2d.torus_energy(1 / temperature, size) for size in (2, 3)]
        np.testing.assert_allclose(line.get_ydata(), exact, rtol=1e-14)


def test_ags_is_evaluated_at_the_realised_load_and_ends_at_the_spinodal(memory):
    # alpha = 0.07 is P = 2 and 0.1 is P = 3 of N = 32.
    drawn = Drawn(memory)
    ((where, plot),) = addresses(drawn.study)
    pattern, random = drawn.figure(plot, where).axes
    for ax in (pattern, random):
        for line, load in zip(lines_of(ax), (2 / 32, 3 / 32), strict=True):
            temperature, overlap = line.get_data()
            assert temperature[-1] == pytest.approx(hopfield.spinodal_temperature(load), rel=1e-8)
            exact = [hopfield.retrieval(load, t).m for t in temperature]
            np.testing.assert_allclose(overlap, exact, rtol=1e-12)


def test_lines_of_a_phase_diagram_cross_every_column_at_its_realised_load(memory):
    text = HOPFIELD.split("[plot]")[0].replace("[16, 32]", "[32]")
    text += '[plot]\nphase_diagram = { x = "alpha", y = "temperature", z = "retrieval_overlap", '
    text += 'panel = "start", theory = "ags" }'
    drawn = Drawn(memory)
    drawn.study = study_from_text(text)
    ((where, plot),) = addresses(drawn.study)
    figure = drawn.figure(plot, where)
    assert [ax.get_title() for ax in figure.axes[:2]] == [
        "initial state: pattern",
        "initial state: random",
    ]
    spinodal, _, glass = lines_of(figure.axes[0])
    for alpha, load in ((0.07, 2 / 32), (0.1, 3 / 32)):
        x, y = glass.get_data()
        assert np.interp(alpha, x, y) == pytest.approx(1 + np.sqrt(load), abs=1e-4)
        x, y = spinodal.get_data()
        crossing = np.interp(alpha, x[: x.argmax()], y[: x.argmax()])
        assert crossing == pytest.approx(hopfield.spinodal_temperature(load), abs=2e-3)


@pytest.mark.parametrize("least, limits", [(-0.05, (0.0, 1.0)), (-0.6, (-1.0, 1.0))])
def test_reversed_patterns_have_colours_of_their_own(memory, least, limits):
    drawn = Drawn(memory)
    drawn.summary = drawn.summary.load().copy(deep=True)
    drawn.summary["retrieval_overlap"][:] = np.abs(drawn.summary["retrieval_overlap"])
    drawn.summary["retrieval_overlap"][{"alpha": 0, "temperature": 0}] = least
    keys = {"x": "alpha", "y": "temperature", "z": "retrieval_overlap", "panel": "start"}
    figure = drawn.figure(PlotDeclaration(kind="phase_diagram", **keys), "plot")
    assert figure.axes[0].collections[0].get_clim() == limits


def test_a_theory_that_is_the_same_for_all_sizes_is_one_black_line(tmp_path):
    text = HOPFIELD.replace("[0.07, 0.1]", "[0.0625]").replace('by = "alpha"', 'by = "N"')
    text = text.replace('["pattern", "random"]', '["pattern"]')
    drawn = Drawn(result_of(tmp_path, "sizes", text))
    ((where, plot),) = addresses(drawn.study)
    (ax,) = drawn.figure(plot, where).axes
    (line,) = lines_of(ax)
    assert line.get_color() == "black"


def test_final_states_of_a_plane_are_drawn_as_pictures(tmp_path):
    files = draw_figures(result_of(tmp_path, "recall", RECALL))
    assert [file.name for file in files] == ["recall_states.png"]
    figure = Drawn(tmp_path / "recall.nc").pictures()
    picture = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(picture, [[1, 1, -1], [-1, 1, 1]])
    assert [ax.get_ylabel() for ax in figure.axes[::2]] == ["pattern at 0.67", "random"]


@pytest.mark.parametrize(
    "change, message",
    [
        (('"kaufman", "onsager"', '"kaufmann"'), r"plot.curve.theory[\s\S]*mean kaufman"),
        (('y = "energy"\nby', 'y = "binder"\nby'), r"plot.curve.y[\s\S]*energy, specific_heat"),
        (('theory = "kaufman"', 'theory = "curie weiss"'), r"curve\[1\].theory[\s\S]*curie-weiss"),
    ],
)
def test_a_theory_that_does_not_exist_or_not_for_this_names_what_is_legal(change, message):
    assert change[0] in ISING
    with pytest.raises(StudyFileError, match=message):
        check_theories(study_from_text(ISING.replace(*change, 1)))


def test_a_theory_of_another_model_is_refused_with_the_reason(memory, ising):
    drawn = Drawn(memory)
    drawn.study = study_from_text(
        HOPFIELD.replace("ags", "kaufman").replace('y = "retrieval_overlap', 'y = "energy')
    )
    ((where, plot),) = addresses(drawn.study)
    with pytest.raises(StudyFileError, match="square lattice"):
        drawn.figure(plot, where)
    field = Drawn(ising)
    field.study = study_from_text(ISING.replace("[scan]", "[set]\nh = 0.1\n[scan]"))
    (where, plot), _ = addresses(field.study)
    with pytest.raises(StudyFileError, match="without a field"):
        field.figure(plot, where)


def test_a_file_that_is_no_result_of_a_study_is_refused(tmp_path):
    write_tree(tmp_path / "x.nc", {"/": summary_dataset({}, {})}, study_hash="0" * 64)
    with pytest.raises(ResultFileError, match="provenance"):
        draw_figures(tmp_path / "x.nc")


def test_curie_weiss_with_coupling_and_field_is_the_sum_over_states():
    size, coupling, field, temperature = 6, 1.5, 0.3, 0.8
    loaded = load_model("curie_weiss", N=size, J=coupling, h=field)
    s = np.array(list(product([-1, 1], repeat=size)))
    total = s.sum(axis=1)
    energy = -coupling / size * (total**2 - size) / 2 - field * total
    p = np.exp(-energy / temperature)
    p /= p.sum()
    exact = {
        "energy": p @ energy / size,
        "specific_heat": (p @ energy**2 - (p @ energy) ** 2) / temperature**2 / size,
        "abs_magnetisation": p @ abs(total) / size,
        "susceptibility": (p @ total**2 - (p @ abs(total)) ** 2) / temperature / size,
        "binder": 1 - (p @ total**4) / (3 * (p @ total**2) ** 2),
    }
    assert THEORIES["curie-weiss"].applies(loaded) is None
    for name, value in exact.items():
        found = THEORIES["curie-weiss"].values[name](loaded, np.array([temperature]))
        assert found[0] == pytest.approx(value, rel=1e-12)


def test_replica_symmetry_is_silent_where_it_is_unstable_and_parisi_speaks():
    loaded = load_model("sk")
    temperatures = np.array([0.5, 0.62, 0.99, 1.0, 1.5])
    flat = THEORIES["sk-rs"].values["energy"](loaded, temperatures)
    broken = THEORIES["parisi"].values["energy"](loaded, temperatures)
    overlap = THEORIES["parisi"].values["replica_overlap_squared"](loaded, temperatures)
    assert np.isnan(flat[:3]).all()
    np.testing.assert_allclose(flat[3:], -0.5 / temperatures[3:], rtol=1e-12)
    np.testing.assert_allclose(broken[3:], flat[3:], rtol=1e-12)
    # e = -(1 - [<q^2>]) / (2 T), an identity of Gaussian couplings.
    np.testing.assert_allclose(broken, -(1 - overlap) / (2 * temperatures), atol=2e-4)
    assert THEORIES["parisi"].applies(load_model("sk", h=0.1))
