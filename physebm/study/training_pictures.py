"""Pictures of a trained model: samples of its chains, features and couplings at the last age.

    samples    ``/chains``   visible units of the chains where training left them
    features   ``/arrays``   columns of an array; of couplings within a group a map, with those of the
                             teacher, where there is one, above the diagonal

Every training has a row or a panel. Only what is shown is read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from physebm import plots
from physebm.errors import ResultFileError, StudyFileError
from physebm.learning.record_weights import WeightMatrix, weight_matrices
from physebm.lowering.formula import LETTERS
from physebm.model.hamiltonian import Group, Hamiltonian
from physebm.model.params import Params
from physebm.model.roles import hidden_groups, visible_groups
from physebm.model.terms import array_of
from physebm.plots.mosaic import on_plane
from physebm.schema.load import Loaded
from physebm.schema.plot_declarations import PlotDeclaration
from physebm.schema.result_arrays import read_trained
from physebm.study.trained_groups import Point, TrainedGroups, at, points

PICTURES, PICTURES_IN_A_ROW, RASTER_ROWS, FEATURES = 40, 12, 60, 100
"""Numbers shown where the study does not say."""


def draw_samples(trained: TrainedGroups, plot: PlotDeclaration, where: str) -> tuple[Figure, str]:
    """The first chains of every training as pictures, or as a raster where units have no plane.

    With the figure, where axes stand that it does not show.
    """
    with trained.group("chains", where) as ds:
        visible = pictured_groups(trained.model({}).hamiltonian)
        shown, said = points(ds, plot.panel)
        states = {
            title: np.concatenate([at(ds[g.name], point).values for g in visible], axis=-1)
            for title, point in shown.items()
        }
        shapes = [_sample_shape(ds), *(group.shape for group in visible if len(visible) == 1)]
    states = {title: x for title, x in states.items() if np.isfinite(x).any()}
    several = len(states) > 1
    shape = _plane(plot, shapes, next(iter(states.values())).shape[-1], where)
    usual = PICTURES_IN_A_ROW if several else PICTURES
    count = plot.count or (usual if shape else RASTER_ROWS)
    rows, kind = [x[:count] for x in states.values()], str(visible[0].prior.kind)
    figure = plots.samples(
        np.stack(rows) if several else rows[0],
        shape,
        prior=kind,
        row_titles=list(states) if several else (),
        units="site" if kind == "potts" else "unit",
    )
    return figure, said


def pictured_groups(hamiltonian: Hamiltonian) -> list[Group]:
    """The visible groups that pictures of samples show: all, or the largest where kinds differ.

    One scale cannot show two kinds of states.
    """
    visible = list(hamiltonian.counted)
    if len({group.prior.kind for group in visible}) > 1:
        visible = [max(visible, key=lambda group: group.size)]
    return visible


def draw_features(trained: TrainedGroups, plot: PlotDeclaration, where: str) -> tuple[Figure, str]:
    """An array of every training at its last recorded age, and where axes stand that are not shown."""
    name = str(plot.array)
    with trained.group("arrays", where) as ds:
        shown, said = points(ds, plot.panel)
        sample = _sample_shape(ds)
    titles = list(shown) if len(shown) > 1 else []
    symbol = name if len(name) == 1 else rf"\mathrm{{{name}}}"
    matrices, blocks, teachers = [], [], []
    for point in shown.values():
        matrix = _matrix(trained.model(point), name, f"{where}.array")
        array, teacher = _last(trained, name, point, where), None
        if matrix.symmetric and trained.has("teacher"):
            with trained.group("teacher", where) as ds:
                teacher = at(ds[name], point).values if name in ds else None
        matrices.append(matrix)
        blocks.append(_blocks(matrix, array))
        if teacher is not None and teacher.shape == array.shape:
            teachers.append(_blocks(matrix, teacher))
    if matrices[0].symmetric and plot.shape is None:
        maps = [_square(each) for each in blocks]
        known = [_square(each) for each in teachers] if len(teachers) == len(maps) else None
        units = "site" if maps[0].ndim == 4 else "unit"
        figure = plots.couplings(maps, known, titles=titles, symbol=symbol, units=units)
        return figure, said
    shapes = []
    if matrices[0].side is not None:
        shapes = [sample, trained.model({}).hamiltonian.group(matrices[0].side).shape]
    shape = _plane(plot, shapes, matrices[0].shape[0], where)
    columns = [_columns(each) for each in blocks]
    pictured = shape is not None or columns[0].ndim == 3
    count = plot.count or (FEATURES if pictured and not titles else None)
    figure = plots.features(
        columns if titles else columns[0],
        shape,
        count=count,
        titles=titles,
        **_called(trained.model({}).hamiltonian, matrices[0], symbol),
    )
    return figure, said


def _called(hamiltonian: Hamiltonian, matrix: WeightMatrix, symbol: str) -> dict[str, str]:
    """What entries, rows and columns of a matrix are called, by the letters of `lowering.formula`.

    Visible groups come first: those of an inline model may come out of a result in another order than
    they were written in.
    """
    visible = visible_groups(hamiltonian)
    groups = (*visible, *hidden_groups(hamiltonian))
    letters = {name: LETTERS[n % len(LETTERS)] for n, name in enumerate(groups)}
    if matrix.kind == "patterns":
        i = letters[matrix.side or groups[0]][0]
        return {
            "symbol": rf"{symbol}_{{{i}}}^\mu",
            "visible": f"unit ${i}$",
            "hidden": r"pattern $\mu$",
        }
    term = next(each for each in hamiltonian.terms if array_of(each) == matrix.name)
    one, two = (term.b, term.a) if matrix.turned else (term.a, term.b)
    i, k = letters[one][0], letters[two][1 if matrix.symmetric else 0]
    return {
        "symbol": f"{symbol}_{{{k}{i}}}" if matrix.turned else f"{symbol}_{{{i}{k}}}",
        "visible": f"{'visible' if one in visible else 'hidden'} unit ${i}$",
        "hidden": f"{'visible' if two in visible else 'hidden'} unit ${k}$",
    }


def _sample_shape(ds: xr.Dataset) -> tuple[int, ...]:
    return tuple(int(n) for n in np.atleast_1d(ds.attrs.get("sample_shape", ())))


def _plane(
    plot: PlotDeclaration, shapes: Sequence[Sequence[int]], units: int, where: str
) -> tuple[int, int] | None:
    """Rows and columns of a picture: as the study says, else the first shape that fits.

    None where units make no picture; a study says so by a shape with one row.
    """
    if plot.shape is not None and np.prod(plot.shape) != units:
        raise StudyFileError(f"{where}.shape", got=list(plot.shape), expected=f"{units} units")
    for shape in shapes if plot.shape is None else [plot.shape]:
        if on_plane(shape) and np.prod(shape) == units:
            return tuple(shape)
    return None


def _matrix(model: Loaded, array: str, where: str) -> WeightMatrix:
    slots = tuple(slot.name for slot in model.hamiltonian.slots)
    matrices = {each.name: each for each in weight_matrices(model.hamiltonian, slots)}
    if array not in matrices:
        hint = "fields and sparse couplings have no columns"
        raise ResultFileError(where, got=array, expected=list(matrices), hint=hint)
    return matrices[array]


def _last(trained: TrainedGroups, array: str, point: Point, where: str) -> np.ndarray:
    """The array at the last age at which this training recorded it."""
    return read_trained(trained.path, array, "last", point, where, ResultFileError)


def _blocks(matrix: WeightMatrix, array: np.ndarray) -> np.ndarray:
    """``[row unit, feature, column unit, feature]``, Potts sides in the zero-sum gauge."""
    return matrix.blocks(Params({matrix.name: array[None]}))


def _square(blocks: np.ndarray) -> np.ndarray:
    """Couplings within a group, ``[i, j]`` or ``[i, j, state, state]``."""
    return blocks.transpose(0, 2, 1, 3) if blocks.shape[1] > 1 else blocks[:, 0, :, 0]


def _columns(blocks: np.ndarray) -> np.ndarray:
    """Columns ``[visible, hidden]``, ``[visible, state, hidden]`` of Potts units."""
    n, f, m, g = blocks.shape
    return blocks.reshape(n, f, m * g) if f > 1 else blocks.reshape(n, m * g)
