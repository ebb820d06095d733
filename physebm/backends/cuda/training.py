"""A training that stays on the device: one update of a machine of two-state units without the host.

What goes up per update are the numbers of the samples (8 bytes each) and under tempering those of the
lanes at the trained model; down come the norm of the gradient and a count per band of numbers that left
their range, which is where the host waits. Data go up once. Arrays come down when someone asks.

    gather_rows          X, rows of samples and chains as float32, and their sums
    matmul               theta = X W
    hidden_means         p = +- <h | X> / rows of its kind, and sums of <h | X>
    matmul               X^T p, the difference of <v h> of samples and chains
    field_gradients      gradients of the fields, the hidden offsets
    coupling_gradient    gradients of W about the offsets, with penalties
    gradient_norm        of all three, and the factor of clipping
    climb                optimiser, W and a one step on, W written both ways as sweeps read it
    hidden_fields        b one step on

Products are single precision (no TF32) over at most `PRODUCT_ROWS` rows, whose sums are added in
double; all else is as `native.machine` has it: gradient, moments and arrays in double. A thread adds
in order and threads of a block add in a tree, so that a device gives the same bits every time (cuBLAS
does, on one card and one version).

Cost of an update of n x m units with R rows, samples and chains (derived, not measured; in brackets
784 x 500 units, batch 500, 500 chains, R = 1024 with what segments lack):

    products    4 n m R flops                                          [1.6e9]
    rows        n R (1 read, 4 written, 8 read by the products) bytes  [10 MB]
    means       m R (4 written, 8 changed, 4 read)                     [8 MB]
    W           n m (4 read, 4 written; gradient 4 + 8 + 8; climb 8 + 8 + 8 + 8; moments 16 each)
                                                                       [24 MB; Adam 36 MB]
    shifts      n m / 4 * 16                                           [1.6 MB]

On an H200 (4.8 TB/s, 67e12 flops of float32) 44 MB are 9 us (Adam 12), products at their ceiling 24 us,
and the host's nine launches 27 us at 3 us each, where nothing hides them: 40 to 60 us. Beside them
stand the sweeps, for PCD-10 with 500 chains 7.8e9 flops, 120 us at the ceiling of float32 and less on
tensor cores, so that an update takes 0.1 to 0.2 ms. What an update touches (20 MB, Adam 26) fits the
second cache of 50 MB. Certain are the counts; what cuBLAS reaches at these shapes, and the launches,
only a card can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Protocol

import numpy as np

from physebm.backends.base import LaneState, Launch
from physebm.backends.cuda.device import Buffer, Device
from physebm.backends.cuda.emit import library
from physebm.backends.cuda.resident import Resident
from physebm.backends.source import Source
from physebm.backends.training import MOMENTS, PARTS, Climb, Told
from physebm.lowering.plan import SweepPlan
from physebm.model.units import UnitKind

LIBRARY_PARTS = ("types", "reductions", "training")
SEGMENT, BAND = 32, 4  # of training.cuh
PRODUCT_ROWS = 4096  # of one product in single precision
RULES = ("sgd", "momentum", "adam")

_ADDRESSES = (
    "data", "states", "rows", "lanes", "X", "p", "product", "total", "v_sums", "h_sums", "mu_v", "mu_h",
    "now", "next", "gradient", "first", "second", "squares", "shifts", "told",
    "to_b", "to_a", "field_a", "field_b",
)  # fmt: skip
_INTEGERS = ("n", "m", "samples", "chains", "ising", "centred", "fresh", "rule")
_NUMBERS = (
    "follow", "l1_W", "l1_a", "l1_b", "l2_W", "l2_a", "l2_b", "clip",
    "rate", "decay1", "decay2", "spread", "epsilon", "largest",
)  # fmt: skip
STRUCT = np.dtype(
    [(name, np.uint64) for name in _ADDRESSES]
    + [(name, np.int64) for name in _INTEGERS]
    + [(name, np.float64) for name in _NUMBERS]
)


@cache
def training_source() -> Source:
    """The kernels of an update; they depend on no plan."""
    return Source("training_cuda", library(*LIBRARY_PARTS))


class KernelsOfChains(Protocol):
    """Those that sweep the chains of a training."""

    plan: SweepPlan
    device: Device

    def resident(self, launch: Launch) -> Resident:
        """What kernels read of a launch."""

    def states(self, state: LaneState, g: int) -> Buffer:
        """Configurations of group g on the device, ``[lane, unit]``."""


class DeviceTraining:
    """Data, arrays and optimiser of a machine on the device of its kernels; see `backends.training`."""

    def __init__(self, kernels: KernelsOfChains, launch: Launch, data: np.ndarray, climb: Climb):
        self.kernels, self.device, self.launch, self.climb = kernels, kernels.device, launch, climb
        plan = kernels.plan
        read = plan.terms[climb.couplings]
        self.n, self.m = plan.groups[read.a].width, plan.groups[read.b].width
        self.size = self.n * self.m + self.n + self.m
        self._visible = read.a
        self._bands = -(-self.n // BAND)
        self._samples, self._shape = len(data), (0, 0)
        self._functions = {}
        room, n, m = self.device.room, self.n, self.m
        self.arrays = {name: room((self.size,), np.float64) for name in ("now", "previous", "next")}
        self.moments = {name: room((self.size,), np.float64) for name in MOMENTS[climb.rule]}
        self.buffers: dict[str, Buffer] = {
            "data": self.device.upload(np.ascontiguousarray(data, np.int8)),
            "gradient": room((self.size,), np.float64),
            "product": room((n, m), np.float32),
            "mu_v": room((n,), np.float64),
            "mu_h": room((m,), np.float64),
            "squares": room((n,), np.float64),
            "shifts": room((self._bands, m), np.float64),
            "told": room((2 + self._bands + m,), np.float64),
        }
        self._fresh = True
        self._struct = self._constants(plan.groups[read.b].prior.kind is UnitKind.ISING)

    def _constants(self, ising: bool) -> np.ndarray:
        climb, struct = self.climb, np.zeros((), STRUCT)
        decays = (climb.beta1, climb.beta2) if climb.rule == "adam" else (climb.momentum, 0.0)
        for name, value in {
            "n": self.n,
            "m": self.m,
            "ising": ising,
            "centred": climb.centred,
            "rule": RULES.index(climb.rule),
            "follow": climb.follow,
            "clip": climb.clip or 0.0,
            "decay1": decays[0],
            "decay2": decays[1],
            "epsilon": climb.epsilon,
            "largest": climb.largest,
        }.items():
            struct[name] = value
        for part, l1, l2 in zip(PARTS, climb.l1, climb.l2, strict=True):
            struct[f"l1_{part}"], struct[f"l2_{part}"] = l1, l2
        return struct

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over all arrays; without ``offset/b`` it begins with the first samples."""
        for name in ("now", "previous"):
            self.device.write(self.arrays[name], _joined(name, arrays))
        for name, buffer in self.moments.items():
            self.device.write(buffer, _joined(name, arrays))
        self._fresh = "offset/b" not in arrays
        for name, part, width in (("mu_v", "a", self.n), ("mu_h", "b", self.m)):
            offset = arrays.get(f"offset/{part}", np.zeros(width))
            self.device.write(self.buffers[name], offset.reshape(-1))

    def fetch(self) -> dict[str, np.ndarray]:
        """Copies of all arrays."""
        found = {}
        for name in ("now", "previous"):
            found |= self._parts(f"{name}/", self.arrays[name])
        for name, buffer in self.moments.items():
            found |= self._parts(f"{name}/", buffer)
        if self.climb.centred:
            found["offset/a"] = self.device.download(self.buffers["mu_v"])
            if not self._fresh:
                found["offset/b"] = self.device.download(self.buffers["mu_h"])
        return found

    def tried(self) -> dict[str, np.ndarray]:
        """``{W, a, b}`` of a step that was refused."""
        return self._parts("", self.arrays["next"])

    def _parts(self, prefix: str, buffer: Buffer) -> dict[str, np.ndarray]:
        values, W = self.device.download(buffer), self.n * self.m
        parts = (values[:W].reshape(self.n, self.m), values[W : W + self.n], values[W + self.n :])
        return {f"{prefix}{name}": part for name, part in zip(PARTS, parts, strict=True)}

    def update(
        self,
        state: LaneState,
        lanes: np.ndarray | None,
        rows: np.ndarray | None,
        rate: float,
        number: int,
    ) -> Told:
        """One step uphill; sweeps read the new couplings and fields at once."""
        resident = self.kernels.resident(self.launch)
        t, (a, b) = self.climb.couplings, self.climb.fields
        read = {
            "states": self.kernels.states(state, self._visible),
            "to_b": resident.buffers[f"J{t}_to_b"],
            "to_a": resident.buffers[f"J{t}_to_a"],
            "field_a": resident.buffers[f"h{a}"],
            "field_b": resident.buffers[f"h{b}"],
        }
        for name, chosen in (("rows", rows), ("lanes", lanes)):
            if chosen is not None:
                read[name] = self.device.upload(chosen.astype(np.int64))
        samples = self._samples if rows is None else len(rows)
        chains = len(read["states"]) if lanes is None else len(lanes)
        self._make_room(samples, chains)
        self._bind(read, rate, number)
        self._sum(read["to_b"][0])
        self._step()
        self._fresh = False
        told = self.device.download(self.buffers["told"])
        beyond = int(told[2:].sum())
        if not beyond:
            now, previous, made = (self.arrays[name] for name in ("now", "previous", "next"))
            self.arrays = {"now": made, "previous": now, "next": previous}
        resident.overwritten((t, a, b))
        return Told(float(told[0]), beyond)

    def _make_room(self, samples: int, chains: int) -> None:
        """For the rows of a product and the sums of all segments."""
        if self._shape == (samples, chains):
            return
        self._shape, room = (samples, chains), self.device.room
        segments = -(-samples // SEGMENT) - (-chains // SEGMENT)
        rows = min(segments * SEGMENT, PRODUCT_ROWS)
        self.buffers["X"] = room((rows, self.n), np.float32)
        self.buffers["p"] = room((rows, self.m), np.float32)
        self.buffers["v_sums"] = room((segments, self.n), np.float64)
        self.buffers["h_sums"] = room((segments, self.m), np.float64)
        self.buffers.pop("total", None)
        if segments * SEGMENT > PRODUCT_ROWS:
            self.buffers["total"] = room((self.n, self.m), np.float64)

    def _bind(self, read: Mapping[str, Buffer], rate: float, number: int) -> None:
        """Addresses and numbers of this update."""
        struct, climb = self._struct, self.climb
        held = self.buffers | self.moments | dict(read)
        held |= {"now": self.arrays["now"], "next": self.arrays["next"]}
        for name in _ADDRESSES:
            struct[name] = self.device.address(held[name]) if name in held else 0
        struct["samples"], struct["chains"] = self._shape
        struct["fresh"], struct["rate"], struct["spread"] = self._fresh, rate, 1.0
        if climb.rule == "adam":
            struct["rate"] = rate / (1.0 - climb.beta1**number)
            struct["spread"] = np.sqrt(1.0 - climb.beta2**number)

    def _sum(self, couplings: Buffer) -> None:
        """The statistics of all rows, as many at a time as a product takes."""
        device, threads = self.device, self.device.threads
        segments, at_once = len(self.buffers["v_sums"]), PRODUCT_ROWS // SEGMENT
        over_n, over_m = -(-self.n // threads), -(-self.m // threads)
        for first in range(0, segments, at_once):
            count = min(at_once, segments - first)
            X, p = (self.buffers[name][: count * SEGMENT] for name in ("X", "p"))
            self._run("gather_rows", count * over_n, first, over_n)
            device.matmul(X, couplings, p)
            self._run("hidden_means", count * over_m, first, over_m)
            if first:
                self._run("add_product", -(-self.n * self.m // threads), first == at_once)
            device.matmul(X, p, self.buffers["product"], transposed=True)

    def _step(self) -> None:
        """Gradients from the statistics, and one step of the optimiser."""
        room = 8 * self.device.threads
        self._run("field_gradients", -(-(self.n + self.m) // self.device.threads), 0)
        self._run("coupling_gradient", self.n, 0, shared=room)
        self._run("gradient_norm", 1, 0, shared=room)
        self._run("climb", self._bands, 0, shared=room)
        self._run("hidden_fields", self.m, 0, shared=room)

    def _run(self, kernel: str, blocks: int, *further: int, shared: int = 0) -> None:
        if kernel not in self._functions:
            self._functions[kernel] = self.device.function(training_source(), kernel)
        numbers = tuple(np.int32(number) for number in further)
        self._functions[kernel](blocks, self.device.threads, self._struct, numbers, shared)


def _joined(name: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([arrays[f"{name}/{part}"].reshape(-1) for part in PARTS])
