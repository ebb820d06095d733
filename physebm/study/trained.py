"""A trained model at a recorded age, from a result file: arrays, scores of data, fresh samples.

A result carries its study and its models as texts, so that the model is built again from the file
alone; only the arrays of the age that was asked for are read.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.errors import InputError, ResultFileError
from physebm.free_energy.likelihood import log_partition, visible_potential
from physebm.learning.recipe import by_group
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.conditionals import Conditionals
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.roles import factorises, hidden_groups, visible_groups
from physebm.native.products import single_threaded_blas
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.schema.load import Loaded, load
from physebm.schema.model_file import read_model
from physebm.schema.result_arrays import age_of, read_trained
from physebm.schema.study_file import study_from_dict
from physebm.storage.dataset import record_of
from physebm.storage.netcdf import open_group
from physebm.storage.training import sample_shape

# Sweeps before a generated sample is taken, where the user does not say.
SWEEPS = 1000


@dataclass(frozen=True)
class Trained:
    """A model with the arrays that training had at one recorded age.

    Attributes
    ----------
    loaded
        The declared model at the parameters of the study.
    params
        Its arrays, one instance.
    update
        The age.
    sample_shape
        Shape of one sample of the training data, e.g. rows and columns of a picture.
    """

    loaded: Loaded
    params: Params
    update: int
    sample_shape: tuple[int, ...]

    @property
    def hamiltonian(self) -> Hamiltonian:
        """Groups, terms and slots."""
        return self.loaded.hamiltonian

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, in the shapes that the model declares."""
        return {name: values[0] for name, values in self.params.arrays.items()}

    def score(self, samples: np.ndarray) -> xr.Dataset:
        """Energies and free energies of visible configurations ``[sample, unit]`` (or in their shape).

        ``free_energy`` is ``-log sum_h exp(-u(v, h))`` in nats, up to log Z minus the log-probability;
        ``energy`` the mean of u over the hidden units given v (u itself for models without any);
        ``log_likelihood`` per sample where Z can be enumerated. Totals, not per unit; beta = 1.

        Raises
        ------
        InputError
            for samples of another size, and for models whose hidden units do not factorise.
        """
        H = self.hamiltonian
        hidden = hidden_groups(H)
        if not factorises(H, hidden):
            raise InputError(
                H.name,
                got="hidden units that couple to each other",
                expected="hidden units that are independent given the visible ones",
                hint="the free energy of a visible configuration is then not a closed form",
            )
        x = np.asarray(samples)
        c = self.loaded.coefficients([1.0])
        with single_threaded_blas():
            states = by_group(H, x.reshape(len(x), -1))
            conditionals = Conditionals(H, c.value[0], self.params)
            free = visible_potential(conditionals, states, hidden)
            known = conditionals.states(states)
            moments = dict(known)
            for group in hidden:
                moments[group] = conditionals.moments(group, conditionals.field(group, known))
            energy = conditionals.energy(moments)
            log_z = log_partition(H, self.params, c)
        ds = xr.Dataset({"free_energy": ("sample", free), "energy": ("sample", energy)})
        ds["free_energy"].attrs = {
            "long_name": "free energy of the visible configuration",
            "units": "nat",
            "definition": "-log sum over hidden units of exp(-u), total",
        }
        ds["energy"].attrs = {
            "long_name": "energy, hidden units averaged",
            "units": "nat",
            "definition": "mean of sum_t c_t E_t given the visible units, continuous priors included",
        }
        if log_z is not None:
            ds["log_likelihood"] = ("sample", -free - log_z)
            ds["log_likelihood"].attrs = {
                "long_name": "log-likelihood of the sample",
                "units": "nat",
                "definition": "log p(v), Z by enumeration",
            }
        ds.attrs = {"update": self.update, "model": H.name}
        return ds

    def generate(
        self,
        samples: int,
        *,
        sweeps: int = SWEEPS,
        temperature: float = 1.0,
        seed: int = 0,
        clamp: Mapping[str, np.ndarray] | None = None,
        backend: str = "auto",
    ) -> dict[str, np.ndarray]:
        """Samples of all groups ``{group: x[sample, unit]}``: independent chains from random starts.

        Parameters
        ----------
        samples, sweeps
            Number of chains, and sweeps that each makes. Chains that have not equilibrated by then give
            samples of the run's length, not of the model; compare two lengths.
        temperature
            1 is the trained model; H is divided by it, priors are not.
        clamp
            ``{group: values[unit] or [sample, unit]}`` with NaN (-1 for Potts units) for free units.
        """
        H = self.hamiltonian
        plan = lower(H, Options("heat-bath", frozenset()))
        operands = bind(plan, H, self.params)
        coefficients = self.loaded.coefficients([temperature])
        key = key_of(seed, "generate", H.name, self.update)
        lanes = Lanes(
            np.zeros(samples),
            np.zeros(samples),
            np.arange(samples),
            np.repeat(np.array([key], dtype=np.uint32), samples, axis=0),
        )
        state = initial.empty(plan, samples)
        rows = np.arange(samples)
        for g, group in enumerate(plan.groups):
            lower_edge = self.params.lower.get(group.name)
            edge = 0.0 if lower_edge is None else lower_edge[0]
            state.x[group.name][:] = initial.random(plan, lanes, g, rows, 1.0, edge)
        lanes.clamp = self._hold(state, clamp or {}, samples)
        sampler = PlanSampler(select(backend).compile(plan), launch(plan, operands, coefficients))
        chains = sampler.step(sampler.init(state, lanes), sweeps)
        return dict(chains.configurations.x)

    def _hold(self, state, clamp, samples: int) -> dict[str, np.ndarray]:
        masks = {}
        for name, given in clamp.items():
            names = [group.name for group in self.hamiltonian.groups]
            if name not in names:
                raise InputError(f"clamp.{name}", got=name, expected=names)
            group = self.hamiltonian.group(name)
            values = np.broadcast_to(np.reshape(given, (-1, group.size)), (samples, group.size))
            held = values >= 0 if group.prior.q else ~np.isnan(values.astype(np.float64))
            if group.prior.discrete and not np.isin(values[held], group.prior.states).all():
                raise InputError(f"clamp.{name}", expected=f"states {list(group.prior.states)}")
            state.x[name][held] = values[held]
            masks[name] = held
        return masks

    def visible(self, states: Mapping[str, np.ndarray]) -> np.ndarray:
        """The visible groups of generated states side by side, in the shape of the training data."""
        names = visible_groups(self.hamiltonian)
        flat = np.concatenate([states[name] for name in names], axis=1)
        shape = self.sample_shape
        return flat.reshape(len(flat), *shape) if np.prod(shape) == flat.shape[1] else flat


def open_trained(path: str | Path, update: int | str = "last", **at: object) -> Trained:
    """The trained model of a result at a recorded age.

    Parameters
    ----------
    update
        A recorded age, or "last".
    at
        Coordinates of scan axes on which the training depends: ``open_trained(path, method="pcd")``;
        axes of one value need none.

    Raises
    ------
    ResultFileError
        for a result without training, an age that was not recorded, and axes that are not chosen.
    """
    path = Path(path)
    record = record_of(open_group(path, "/provenance"))
    study = study_from_dict(json.loads(record["resolved_study"]), name=path.stem)
    if study.train is None:
        raise ResultFileError(str(path), got="a study without [train]", expected="a training study")
    chosen = {axis.name: at.get(axis.name, axis.coordinates[0]) for axis in study.scan}
    place = {
        axis.name: axis.values[axis.coordinates.index(chosen[axis.name])]
        if chosen[axis.name] in axis.coordinates
        else axis.values[0]
        for axis in study.scan
    }
    name = str(place.get("model", study.models[0]))
    tables = tomllib.loads(record["models_text"])
    declared = study.inline or read_model(name, tables[name], str(path))
    loaded = load(declared, study.parameters_at(place))
    realisation = int(place.get("disorder", 0))
    params = loaded.params(study.seed, realisation)
    arrays = {
        slot.name: read_trained(path, slot.name, update, at, str(path), ResultFileError)[None]
        for slot in loaded.hamiltonian.slots
        if slot.trainable
    }
    first = next(iter(arrays))
    age = age_of(path, first, update, at, str(path), ResultFileError)
    return Trained(loaded, params.with_arrays(**arrays), age, sample_shape(path))
