"""Trainings that stay on the device: the updates of `learning.machine`, through the kernels."""

from dataclasses import replace

import numpy as np
import pytest
from compilers import compile_by_nvrtc, nvcc, nvrtc, resources
from host_kernels import needs_compiler
from resident_machines import CASES, HIDDEN, assert_near, assert_same_bits, through_the_host, trainer_of

from physebm.backends.cuda import training as device_training
from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.training import STRUCT, training_source
from physebm.learning.optimisers import Schedule
from physebm.learning.train import Divergence


class Watched(HostDevice):
    """Keeps the sizes in bytes of what goes up and down."""

    def __init__(self, threads):
        super().__init__(threads)
        self.sizes = []

    def upload(self, values):
        self.sizes.append(values.nbytes)
        return super().upload(values)

    def write(self, buffer, values):
        self.sizes.append(buffer.nbytes)
        super().write(buffer, values)

    def download(self, buffer):
        self.sizes.append(buffer.nbytes)
        return super().download(buffer)


@needs_compiler
@pytest.mark.parametrize("case", CASES)
def test_updates_on_the_device_are_those_of_the_host(case):
    device, host = trainer_of(**CASES[case]), through_the_host(**CASES[case])
    before = device.params
    for updates in (1, 20):
        device.run(updates)
        host.run(updates)
        assert_near(device, host, 1e-5 if "adam" in case else 1e-6)
    assert all(np.abs(device.params.arrays[s] - before.arrays[s]).max() > 1e-4 for s in device.slots)


@needs_compiler
def test_rows_beyond_those_of_one_product_are_added(monkeypatch):
    choices = {"centred": True, "batch": None, "samples": 70, "chains": 33}
    whole = trainer_of(**choices)
    whole.run(3)
    monkeypatch.setattr(device_training, "PRODUCT_ROWS", 32)
    parts = trainer_of(**choices)
    parts.run(3)
    assert "total" in parts._device._training.buffers
    assert_near(parts, whole)


@needs_compiler
@pytest.mark.parametrize("case", ["momentum", "adam"])
def test_a_training_that_was_cut_goes_on_with_the_same_bits(case):
    whole, first, second = (trainer_of(**CASES[case]) for _ in range(3))
    whole.run(9)
    first.run(4)
    kept = {name: x.copy() for name, x in first.checkpoint().items()}
    first.run(9)  # whoever was looked at goes on as if nothing had been
    second.restore(kept)
    second.run(9)
    assert_same_bits(whole, first)
    assert_same_bits(whole, second)
    for name, x in whole.checkpoint().items():
        np.testing.assert_array_equal(second.checkpoint()[name], x, err_msg=name)


@needs_compiler
def test_a_training_goes_on_elsewhere():
    whole, first, second = (trainer_of(**CASES["adam"]) for _ in range(3))
    second._device = None
    whole.run(8)
    first.run(4)
    second.restore(first.checkpoint())
    second.run(8)
    assert_near(whole, second, 1e-5)


@needs_compiler
def test_bits_depend_on_no_order_of_threads_and_hardly_on_their_number():
    first, shuffled, more = (
        trainer_of(device=HostDevice(*which), **CASES["centred"]) for which in ((8, 1), (8, 5), (32, 1))
    )
    for trainer in (first, shuffled, more):
        trainer.run(4)
    assert_same_bits(first, shuffled)
    assert_near(first, more)


@needs_compiler
def test_an_update_copies_neither_rows_nor_couplings():
    chains, units = 8, 300
    device = Watched(8)
    trainer = trainer_of(device=device, chains=chains, units=units, **CASES["momentum"])
    trainer.run(1)
    device.sizes.clear()
    trainer.run(4)
    assert device.sizes and max(device.sizes) < chains * units
    trainer.checkpoint()
    assert max(device.sizes) >= 8 * units * HIDDEN


@needs_compiler
def test_sweeps_read_the_couplings_and_fields_of_the_last_step():
    trainer = trainer_of(**CASES["centred"])
    trainer.run(3)
    read = trainer._device._training.kernels.resident(trainer.chains.inner.launch).buffers
    of_device = {name: read[name].copy() for name in ("J0_to_a", "J0_to_b", "h1", "h2")}
    fresh = trainer_of(**CASES["centred"]).chains
    fresh.follow(trainer.params)
    for name, x in of_device.items():
        assert np.array_equal(fresh.operands.arrays[name], x), name


@needs_compiler
@pytest.mark.parametrize("after", [0, 2])
def test_a_training_that_diverges_stays_where_it_was(after):
    device, host = trainer_of(**CASES["centred"]), through_the_host(**CASES["centred"])
    for trainer in (device, host):
        trainer.run(after)
        trainer.recipe = replace(trainer.recipe, rate=Schedule(1e12))
        with pytest.raises(Divergence, match=f"diverged at update {after + 1}: array 'W'"):
            trainer.run(20)
        assert trainer.update == after
    assert_near(device, host)
    device.chains.move(after + 2, {})
    host.chains.move(after + 2, {})
    assert np.array_equal(device.chains.configurations()["v"], host.chains.configurations()["v"])


def test_the_struct_has_the_fields_of_the_kernels():
    declared = training_source().text.split("struct Parameters {")[1].split("};")[0]
    names = [
        name.strip(" *").split()[-1].strip("*")
        for line in declared.splitlines()
        for name in line.split("//")[0].strip().rstrip(";").split(",")
        if name.strip()
    ]
    assert names == list(STRUCT.names)
    assert STRUCT.itemsize == 8 * len(names)


@pytest.mark.skipif(nvrtc() is None, reason="no NVRTC: pip install nvidia-cuda-nvrtc-cu12")
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_nvrtc_compiles_without_a_warning(architecture):
    assert "warning" not in compile_by_nvrtc(training_source().text, architecture)


@pytest.mark.skipif(nvcc() is None, reason="no nvcc: registers and spills are not checked")
def test_no_kernel_spills_registers(tmp_path):
    found = resources(training_source().text, "sm_90", tmp_path)
    assert len(found) == 8
    for kernel, (registers, spilled) in found.items():
        assert (spilled, registers <= 64) == (0, True), (kernel, registers, spilled)
