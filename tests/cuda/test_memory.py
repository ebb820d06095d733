"""Bytes that are counted beforehand are those that a device is asked for."""

import weakref

import numpy as np
import pytest
from host_kernels import needs_compiler
from many_lanes import for_lanes
from small_models import Small, small

from physebm.backends.cuda.host_device import HostDevice
from physebm.backends.cuda.memory import Counting, device_bytes
from physebm.backends.cuda.rooms import kernels_of

MODELS = {
    "ising_2d": {"L": 6},
    "hopfield": {"N": 20, "P": 4},
    "sk": {"N": 18},
    "rbm": {"Nv": 12, "Nh": 9},
    "potts_machine": {"L": 4, "q": 3},
    "edwards_anderson_3d": {"L": 4},
}


class Weighed(HostDevice):
    """Remembers the most bytes that its arrays had at once."""

    def __init__(self):
        super().__init__()
        self.taken = self.most = 0

    def _weighed(self, buffer: np.ndarray) -> np.ndarray:
        self.taken += buffer.nbytes
        self.most = max(self.most, self.taken)
        weakref.finalize(buffer, self._less, buffer.nbytes)
        return buffer

    def _less(self, nbytes: int) -> None:
        self.taken -= nbytes

    def upload(self, values):
        return self._weighed(super().upload(values))

    def room(self, shape, dtype):
        return self._weighed(super().room(shape, dtype))


def model_of(name: str, many: bool) -> Small:
    model = small(name, "heat-bath", (0.8, 1.5), 2, **MODELS[name])
    return for_lanes(model, 4096) if many else model


@needs_compiler
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_counted_bytes_are_those_that_are_allocated(name, many):
    model = model_of(name, many)
    lanes = model.lanes(40, seed=2)
    state = model.random_state(lanes)
    before = state.copy()
    device = Weighed()
    counted = device_bytes(model.plan, device, state, lanes, model.launch)
    assert device.most == 0 and not state.work
    for group, x in before.x.items():
        assert np.array_equal(state.x[group], x)
    kernels = kernels_of(model.plan, device)
    kernels.prepare(state, lanes, model.launch)
    kernels.sweep(state, lanes, model.launch, 0, 1)
    # at least configurations, couplings and energies
    least = sum(x.nbytes for x in before.x.values()) // 8 + 8 * len(lanes) * len(model.plan.terms)
    assert counted == device.most > least


def test_counting_takes_no_memory():
    counting = Counting(HostDevice())
    room = counting.room((2**20, 2**20), np.float64)
    assert counting.taken == 2**43 and room[5].size == 2**20 and room.shape == (2**20, 2**20)
    del room
    assert counting.taken == 0 and counting.most == 2**43
