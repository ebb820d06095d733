"""The zoo's small instances, lowered and bound: what parity and ensemble tests sample.

Kernels are compiled once per structure in a session (``$PHYSEBM_CACHE``, set by ``conftest.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from physebm.backends import base
from physebm.backends.base import Kernels, Lanes, LaneState, Launch
from physebm.backends.select import select
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.lowering.plan import SweepPlan
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params, stack
from physebm.sampling import initial
from physebm.schema.load import Loaded, load
from physebm.study.models import models_of

ZOO = tuple(models_of())


@dataclass(frozen=True)
class Small:
    """A small model, its values, its plan and everything that kernels read."""

    loaded: Loaded
    params: Params
    plan: SweepPlan
    launch: Launch

    @property
    def hamiltonian(self) -> Hamiltonian:
        return self.loaded.hamiltonian

    def kernels(self, backend: str = "numba") -> Kernels:
        return select(backend).compile(self.plan)

    def lanes(self, count: int, seed: int = 0, clamped: bool = False) -> Lanes:
        """Lanes that go round instances and rungs; with `clamped`, a random third of units held."""
        rng = np.random.default_rng(seed)
        index = np.arange(count)
        rungs = self.launch.coefficients.rungs
        clamp = {}
        if clamped:
            for group in self.plan.groups:
                clamp[group.name] = rng.random((count, group.size)) < 1 / 3
        return Lanes(
            index // rungs % self.params.instances,
            index % rungs,
            index,
            np.broadcast_to(rng.integers(0, 2**32, 2), (count, 2)),
            clamp,
        )

    def random_state(self, lanes: Lanes) -> LaneState:
        state = initial.empty(self.plan, len(lanes))
        for g, group in enumerate(self.plan.groups):
            state.x[group.name][:] = initial.random(self.plan, lanes, g, slice(None))
        return state


@cache
def loaded(name: str, overrides: tuple[tuple[str, object], ...] = ()) -> Loaded:
    declaration = models_of()[name]
    return load(declaration, {**declaration.small, **dict(overrides)})


def small(
    name: str,
    method: str = "heat-bath",
    temperatures: Sequence[float] = (1.0,),
    instances: int = 1,
    seed: int = 0,
    **overrides,
) -> Small:
    """A model of the zoo at its small size, with `instances` realisations of its disorder."""
    model = loaded(name, tuple(overrides.items()))
    params = stack([model.params(seed, realisation) for realisation in range(instances)])
    return bound(model, params, method, temperatures)


def bound(model: Loaded, params: Params, method: str, temperatures: Sequence[float]) -> Small:
    plan = lower(model.hamiltonian, Options(method, model.integer_slots))
    operands = bind(plan, model.hamiltonian, params)
    return Small(
        model, params, plan, base.launch(plan, operands, model.coefficients(list(temperatures)))
    )
