"""What is claimed of bit-sliced kernels, whoever runs them: bits of the reference, however cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from plane_models import Model

from physebm.backends import reference
from physebm.backends.base import Kernels, Lanes
from physebm.model import energy
from physebm.rng.streams import Purpose


def agree(kernels: Kernels, model: Model, counts, sweeps: int = 5, first: int = 2**32 - 5) -> list:
    """Bits and energies are those of the reference, to the last sweep that there is.

    Returns
    -------
    How the kernels hold the configurations that they have left, for each number of lanes.
    """
    definition, packed = reference.compile(model.plan), []
    for count in counts:
        lanes = model.lanes(count)
        a, b = model.random_state(lanes), model.random_state(lanes)
        E = kernels.sweep(a, lanes, model.launch, first, sweeps)
        F = definition.sweep(b, lanes, model.launch, first, sweeps)
        packed.append(a.packed)
        assert np.array_equal(a.x[model.name], b.x[model.name])
        assert np.array_equal(E, F)
        exact = energy.term_energies(model.loaded.hamiltonian, model.params, b.x, lanes.instance)
        assert np.array_equal(E, exact)
        assert np.array_equal(E, kernels.energies(b, lanes, model.launch))
    return packed


def agree_with_shared_words(kernels: Kernels, model: Model, count: int) -> None:
    """The same walker under the same key, at several rungs: the same words, many configurations."""
    lanes = model.lanes(count)
    lanes.walker[:], lanes.key[:] = 7, lanes.key[0]
    a, b = model.random_state(lanes), model.random_state(lanes)
    kernels.sweep(a, lanes, model.launch, 0, 4)
    reference.compile(model.plan).sweep(b, lanes, model.launch, 0, 4)
    assert np.array_equal(a.x[model.name], b.x[model.name])


def keep_all_bits_of_cut_runs(kernels: Kernels, model: Model, count: int, held=None) -> None:
    """Exchanges, other launches, copies, configurations taken and written, units held: between calls.

    Parameters
    ----------
    held
        Units held during one call, by group; none where the kernels refuse them.
    """
    lanes = model.lanes(count)
    a, b = model.random_state(lanes), model.random_state(lanes)
    definition, other = reference.compile(model.plan), model.launch_at((0.9, 2.0, 5.0))
    for first in range(12):
        lanes.rung[:] = (lanes.rung + (first % 3 == 0)) % 3
        launch = other if first > 6 else model.launch
        now = replace(lanes, clamp=held) if held and first == 4 else lanes
        E = kernels.sweep(a, now, launch, first, 1)
        assert np.array_equal(E, definition.sweep(b, now, launch, first, 1))
        if first == 3:
            a = a.copy()
        if first in (5, 8):
            assert np.array_equal(a.seen[model.name], b.x[model.name])
        if first == 9:
            a.x[model.name][:, 4] *= -1
            b.x[model.name][:, 4] *= -1
        if first == 10:
            a.x = {model.name: b.x[model.name].copy()}
    assert np.array_equal(a.x[model.name], b.x[model.name])


def compare_all_digits(kernels_of) -> None:
    """At its own word a unit is down, one above it is up: all 32 digits decide.

    Parameters
    ----------
    kernels_of
        Makes the kernels of a model.
    """
    model = Model("ising_2d", {"L": 2, "h": 0.0}, temperatures=(1.0,))
    lanes = Lanes(np.zeros(40), np.zeros(40), np.arange(40), np.tile([3, 4], (40, 1)))
    order = model.operands.arrays["order0"][0]
    positions = np.flatnonzero(order >= 0)
    words = reference._plane_words(positions, lanes, 6, Purpose.HEAT_BATH_PLANES, 0)
    kernels = kernels_of(model)
    for lane, p in ((0, 0), (17, 1), (39, 3)):
        word = int(words[lane, p])
        for threshold in (word, word + 1, 0, 2**32):
            table = np.full_like(model.launch.tables[0], threshold)
            state = model.random_state(lanes)
            kernels.sweep(state, lanes, replace(model.launch, tables={0: table}), 6, 1)
            up = state.x[model.name] > 0
            assert np.array_equal(up[:, order[positions]], words < threshold)
            assert up[lane, order[positions[p]]] == (word < threshold)
