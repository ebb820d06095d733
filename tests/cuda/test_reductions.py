"""Sums over units taken on the device are those of the configurations, bit for bit."""

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from host_kernels import kernels, needs_compiler
from small_models import Small, loaded, small

from physebm.backends import base
from physebm.backends.base import LaneState
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.on_device import OnDevice
from physebm.cli import main
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import UnitGroup
from physebm.model.units import Prior, UnitKind
from physebm.observables.overlap import ready_patterns
from physebm.study.snapshot import Snapshot

pytestmark = needs_compiler

LANES = 12
# lanes of [point, chain]; fewer than there are, and not in order
LANES_OF = np.array([[3, 0, 7], [11, 5, 1], [2, 9, 10]])


def for_chains(name: str, chains: int) -> Small:
    model = loaded(name)
    params = model.params(0)
    plan = lower(model.hamiltonian, Options.of(params, "heat-bath", chains))
    operands = bind(plan, model.hamiltonian, params)
    return Small(model, params, plan, base.launch(plan, operands, model.coefficients([1.0, 2.0])))


def swept(name: str):
    """A state that stands on the device, swept, and the same as arrays."""
    model = small(name, temperatures=(1.0, 2.0))
    lanes = model.lanes(LANES, seed=1)
    state, compiled = model.random_state(lanes), kernels(model.plan)
    compiled.prepare(state, lanes, model.launch)
    compiled.sweep(state, lanes, model.launch, 0, 3)
    assert state.reductions is not None
    plain = LaneState({group: x.copy() for group, x in state.seen.items()})
    assert plain.reductions is None and state.reductions is not None
    return model, Snapshot(state, LANES_OF), Snapshot(plain, LANES_OF)


@pytest.mark.parametrize(
    "name", ["ising_3d", "potts_2d", "sk", "rbm", "rbm_gaussian_hidden", "random_field_ising_3d"]
)
def test_both_ways_agree(name):
    model, device, host = swept(name)
    for group in model.hamiltonian.groups:
        assert np.array_equal(device.magnetisation(group), host.magnetisation(group))
        for a, b in ((0, 1), (2, 0)):
            got, expected = (each.replica_overlap(group, a, b) for each in (device, host))
            assert np.array_equal(got, expected)
        if group.prior.kind is UnitKind.ISING:
            signs = np.random.default_rng(2).choice([-1, 1], (2, 5, group.size)).astype(np.int8)
            instance = np.arange(LANES_OF.size) % 2
            got, expected = (
                each.pattern_overlaps(group, ready_patterns(signs), instance) for each in (device, host)
            )
            assert np.array_equal(got, expected)
        if len(group.shape) > 1:
            assert np.array_equal(device.overlap_mode(group, 0, 2), host.overlap_mode(group, 0, 2))
            if group.prior.kind is UnitKind.ISING:
                assert np.array_equal(device.lowest_mode(group), host.lowest_mode(group))


def test_configurations_in_someone_elses_hands_are_not_counted_on_the_device():
    _, device, _ = swept("ising_3d")
    device.configurations.x  # noqa: B018
    assert device.configurations.reductions is None


def test_counting_takes_nothing_from_the_device(monkeypatch):
    model = small("ising_3d", temperatures=(1.0, 2.0))
    lanes = model.lanes(LANES, seed=1)
    state, compiled = model.random_state(lanes), kernels(model.plan)
    compiled.sweep(state, lanes, model.launch, 0, 1)
    monkeypatch.setattr(type(state.packed), "unpack", None)
    Snapshot(state, LANES_OF).magnetisation(model.hamiltonian.groups[0])
    with pytest.raises(TypeError):
        state.x  # noqa: B018


@pytest.mark.parametrize("name", ["ising_3d", "hopfield", "rbm_gaussian_hidden", "sk"])
@pytest.mark.parametrize("chains", [1, 4096])
def test_lanes_are_copied_where_they_stand(name, chains):
    """As the walkers of a population are, with what belongs to them."""
    model = for_chains(name, chains)
    lanes, compiled = model.lanes(LANES, seed=1), kernels(model.plan)
    device = model.random_state(lanes)
    compiled.prepare(device, lanes, model.launch)
    compiled.sweep(device, lanes, model.launch, 0, 3)
    host, sources = device.copy(), np.array([3, 3, 0, 11, 4, 5, 5, 5, 8, 9, 1, 2])
    for state in (device, host):
        state.rearrange(sources)
    # running quantities belong to the states that they were copied with
    for name in host.work:
        np.testing.assert_allclose(device.work[name], host.work[name], rtol=1e-6, atol=1e-6)
    E = [compiled.sweep(each, lanes, model.launch, 3, 2) for each in (device, host)]
    np.testing.assert_allclose(*E, rtol=1e-6)
    for group in host.x:
        assert np.array_equal(device.x[group], host.x[group])


def test_profiles_of_long_lattices():
    """More places than one pass of the kernel holds."""
    shape = (3, 1500)
    device = OnDevice(HostDevice(), (UnitGroup("s", Prior(UnitKind.ISING), 4500),))
    x = np.random.default_rng(1).choice([-1, 1], (2, 4500)).astype(np.int8)
    device.pack({"s": x}, {})
    across, along = device.profiles("s", shape, np.array([1, 0]), None)
    assert np.array_equal(across, x[::-1].reshape(2, *shape).sum(axis=2))
    assert np.array_equal(along, x[::-1].reshape(2, *shape).sum(axis=1))
    pairs = device.profiles("s", shape, np.array([0]), np.array([1]))
    same = (x[0] == x[1]).reshape(shape)
    assert all(np.array_equal(got[0], same.sum(axis=1 - d)) for d, got in enumerate(pairs))


STUDY = """
model = "hopfield"
seed = 3
[set]
N = 40
P = 3
[scan]
start = ["pattern", "random"]
temperature = [0.3, 0.8]
[sample]
chains = 3
sweeps = 64
discard = 20
[observe]
record = ["energy", "magnetisation", "retrieval_overlap", "max_pattern_overlap",
  "overlap_distribution", "q_edwards_anderson"]
"""


def test_a_study_records_the_same_numbers(tmp_path):
    results = {}
    for backend in ("cuda-host", "reference"):
        path, out = tmp_path / "study.toml", tmp_path / f"{backend}.nc"
        path.write_text(STUDY)
        words = ["run", str(path), "--out", str(out), "--backend", backend, "--no-plot"]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        with xr.open_dataset(out) as result:
            results[backend] = result.load()
    one, two = results.values()
    for name in one.data_vars:
        if one[name].dtype.kind == "f":
            np.testing.assert_allclose(one[name], two[name], rtol=1e-9, atol=1e-9, err_msg=name)
