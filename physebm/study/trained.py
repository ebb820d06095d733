"""A trained model at a recorded age, from a result file: arrays, scores of data, fresh samples.

A result carries its study and its models as texts, so that the model is built again from the file
alone; only the arrays of the age that was asked for are read.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr

from physebm.backends.base import Lanes, launch
from physebm.backends.select import select
from physebm.data.raw import native_numbers
from physebm.errors import InputError, ResultFileError
from physebm.free_energy.likelihood import log_partition, prior_constant, visible_potential
from physebm.lowering.operands import bind
from physebm.model.conditionals import Conditionals
from physebm.model.energy import square_weights
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Params
from physebm.model.roles import factorises, hidden_groups, visible_groups
from physebm.native.products import single_threaded_blas
from physebm.rng.streams import key_of
from physebm.sampling import initial
from physebm.sampling.chain import PlanSampler
from physebm.schema.load import Loaded, load
from physebm.schema.model_file import read_model
from physebm.schema.result_arrays import LAST, age_of, failure_of, read_trained
from physebm.schema.study_file import study_from_dict
from physebm.storage.dataset import record_of
from physebm.storage.netcdf import open_group
from physebm.storage.training import sample_shape
from physebm.study.held_values import held_values
from physebm.study.setup import plan_for
from physebm.study.trained_point import chosen_point, read_update, refuse_diverged
from physebm.study.visible_data import visible_states

# Sweeps before a generated sample is taken, where the user does not say.
SWEEPS = 1000


@dataclass(frozen=True, repr=False)
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
    point
        Coordinates of the training on the axes of its study, where that scanned any.
    """

    loaded: Loaded
    params: Params
    update: int
    sample_shape: tuple[int, ...]
    point: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line: model, point, age, and the groups with their sizes."""
        H = self.hamiltonian
        words = [H.name, *(f"{axis}={value}" for axis, value in self.point.items())]
        groups = ", ".join(
            f"{group.name}: {group.size} {group.prior.kind}{' visible' if group in H.counted else ''}"
            for group in H.groups
        )
        return f"<Trained {', '.join(words)}, update {self.update}; {groups}>"

    @property
    def hamiltonian(self) -> Hamiltonian:
        """Groups, terms and slots."""
        return self.loaded.hamiltonian

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, in the shapes that the model declares."""
        return {name: values[0] for name, values in self.params.arrays.items()}

    def score(self, samples: np.ndarray) -> xr.Dataset:
        """Energies and free energies of visible configurations.

        ``free_energy`` is ``-log sum_h exp(-u(v, h))`` in nats, up to log Z minus the log-probability;
        ``energy`` the mean of u over the hidden units given v (u itself for models without any);
        ``log_likelihood`` per sample where Z can be enumerated. Totals, not per unit; beta = 1.

        Parameters
        ----------
        samples
            ``[sample, unit]``, or each sample in its own shape; states of the units.

        Raises
        ------
        InputError
            for samples of another size, numbers that are no states of the visible units, and for
            models whose hidden units do not factorise.
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
        x = native_numbers(samples, "samples")
        if x.ndim < 2 or x.size == 0:
            raise InputError(
                "samples", got=f"an array of shape {list(x.shape)}", expected="[sample, unit]"
            )
        states = visible_states(H, self.params, x, "samples", keys=False)
        c = self.loaded.coefficients([1.0])
        with single_threaded_blas():
            conditionals = Conditionals(H, c.value[0], self.params)
            free = visible_potential(conditionals, states, hidden)
            known = conditionals.states(states)
            moments = dict(known)
            for group in hidden:
                moments[group] = conditionals.moments(group, conditionals.field(group, known))
            energy = conditionals.energy(moments) + prior_constant(conditionals, ())
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
            "definition": "mean of u(v, h) given the visible units, normalised priors included",
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

        Raises
        ------
        InputError
            for numbers that count nothing, and held values that do not fit their group.
        """
        for name, number in (("samples", samples), ("sweeps", sweeps)):
            if not _whole(number) or number < 1:
                raise InputError(f"generate: {name}", got=number, expected="a whole number, 1 or more")
        if not _whole(seed):
            raise InputError("generate: seed", got=seed, expected="a whole number")
        number = isinstance(temperature, int | float | np.number) and not isinstance(temperature, bool)
        if not number or not 0.0 < temperature < np.inf:
            raise InputError("generate: temperature", got=temperature, expected="a number above 0")
        H = self.hamiltonian
        given = held_values(H, self.params, {} if clamp is None else clamp, samples)
        plan = plan_for(H, self.params, "heat-bath", samples, bool(given))
        operands = bind(plan, H, self.params)
        coefficients = self.loaded.coefficients([temperature])
        own = [word for axis in sorted(self.point) for word in (axis, self.point[axis])]
        key = key_of(seed, "generate", H.name, self.update, *own)
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
            scale = self._prior_scale(group.name, coefficients.value[0])
            state.x[group.name][:] = initial.random(plan, lanes, g, rows, scale, edge)
        lanes.clamp = {}
        for name, (values, held) in given.items():
            state.x[name][held] = values[held]
            lanes.clamp[name] = held
        sampler = PlanSampler(select(backend).compile(plan), launch(plan, operands, coefficients))
        chains = sampler.step(sampler.init(state, lanes), sweeps)
        return dict(chains.configurations.x)

    def _prior_scale(self, name: str, c: np.ndarray) -> np.ndarray | float:
        """Standard deviations of a continuous group's prior: where fresh chains start."""
        H = self.hamiltonian
        if H.group(name).prior.discrete:
            return 1.0
        t = H.prior_term(name)
        return 1.0 / np.sqrt(c[t] * square_weights(H, self.params, t, 0))

    def visible(self, states: Mapping[str, np.ndarray]) -> np.ndarray:
        """The visible groups of generated states side by side, in the shape of the training data."""
        names = visible_groups(self.hamiltonian)
        flat = np.concatenate([states[name] for name in names], axis=1)
        shape = self.sample_shape
        return flat.reshape(len(flat), *shape) if np.prod(shape) == flat.shape[1] else flat


def open_trained(path: str | Path, update: int | str = LAST, **at: object) -> Trained:
    """The trained model of a result at a recorded age.

    Parameters
    ----------
    update
        A recorded age, or "last": the end of the training.
    at
        Coordinates of the scan axes on which the training depends, by their names in the result:
        ``open_trained(path, train_method="pcd")`` where ``train.method`` was scanned; axes of one
        value need none.

    Raises
    ------
    ResultFileError
        for a result without training, an age that was not recorded, axes that are not chosen, and a
        training that diverged unless one of its ages is asked for by its number.
    """
    path, update = Path(path), read_update(update)
    record = record_of(open_group(path, "/provenance"))
    study = study_from_dict(json.loads(record["resolved_study"]), name=path.stem)
    if study.train is None:
        raise ResultFileError(str(path), got="a study without [train]", expected="a training study")
    point = chosen_point(path, at)
    place = {
        axis.name: axis.values[axis.coordinates.index(point[axis.name]) if axis.name in point else 0]
        for axis in study.scan
    }
    name = str(place.get("model", study.models[0]))
    tables = tomllib.loads(record["models_text"])
    declared = study.inline or read_model(name, tables[name], str(path))
    loaded = load(declared, study.parameters_at(place))
    realisation = int(place.get("disorder", 0))
    params = loaded.params(study.seed, realisation)
    slots = [slot.name for slot in loaded.hamiltonian.slots if slot.trainable]
    try:
        age = age_of(path, slots[0], update, point, "", ResultFileError)
        if update == LAST:
            failure = failure_of(path, slots[0], point, "", ResultFileError)
            refuse_diverged(path, failure, age)
        arrays = {
            slot: read_trained(path, slot, update, point, "", ResultFileError)[None] for slot in slots
        }
    except ResultFileError as problem:
        if not problem.where.startswith("."):
            raise
        key = problem.where.removeprefix(".").removesuffix("from")
        raise ResultFileError(
            f"{path}: {key}" if key else str(path),
            got=problem.got,
            expected=problem.expected,
            hint=problem.hint,
        ) from None
    return Trained(loaded, params.with_arrays(**arrays), age, sample_shape(path), point)


def _whole(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)
