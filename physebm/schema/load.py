"""Declared model -> Hamiltonian, Params and Coefficients: where text ends and physics begins.

load(declaration, overrides)    the Hamiltonian at given parameter values
draw_params(...)                the arrays of one realisation of the disorder
coefficients(...)               c_kt at given temperatures, with derivatives in beta
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physebm.errors import InputError, ModelFileError
from physebm.model import disorder, graphs
from physebm.model.hamiltonian import Hamiltonian
from physebm.model.params import Coefficients, Params
from physebm.model.terms import EdgeList, Many, Pair, array_of
from physebm.rng.streams import key_of
from physebm.schema.array_files import read_array
from physebm.schema.build import EDGES, Structure, build
from physebm.schema.declarations import ArrayDeclaration, ModelDeclaration
from physebm.schema.expressions import Expression, parse


@dataclass(frozen=True, repr=False)
class Loaded:
    """A model at given parameter values: declaration, numbers and structure, nothing drawn yet."""

    declaration: ModelDeclaration
    overrides: dict[str, Expression]
    structure: Structure

    def __repr__(self) -> str:
        """``Loaded(ising_2d: 256 ising units s; L = 16, J = 1, h = 0)``."""
        groups = [f"{g.size} {g.prior.kind} units {g.name}" for g in self.hamiltonian.groups]
        parameters = ", ".join(f"{name} = {value:.6g}" for name, value in self.env.items())
        parts = [", ".join(groups), *([parameters] if parameters else [])]
        return f"Loaded({self.declaration.name}: {'; '.join(parts)})"

    @property
    def env(self) -> dict[str, float]:
        """The value of every parameter."""
        return self.structure.env

    @property
    def hamiltonian(self) -> Hamiltonian:
        """Groups, terms and slots."""
        return self.structure.hamiltonian

    @property
    def strengths(self) -> tuple[Expression, ...]:
        """Per term the expression that multiplies it."""
        return self.structure.strengths

    @property
    def sources(self) -> dict[str, ArrayDeclaration]:
        """Per slot where its numbers come from."""
        return self.structure.sources

    def params(self, seed: int = 0, realisation: int = 0, *, initial: bool = False) -> Params:
        """The arrays of one realisation, as one instance; `initial`: where a training starts."""
        return draw_params(self, seed, realisation, initial)

    def coefficients(self, temperatures: Sequence[float]) -> Coefficients:
        """``c_kt`` at each temperature."""
        return coefficients(self, temperatures)

    @property
    def integer_slots(self) -> frozenset[str]:
        """Slots whose law gives +-1."""
        return frozenset(name for name, held in self.sources.items() if held.law == "rademacher")


def load(declaration: ModelDeclaration, overrides: Mapping[str, object] | None = None) -> Loaded:
    """A model at its default parameters, with some of them set otherwise.

    Parameters
    ----------
    overrides
        parameter name -> number, expression text or Expression.

    Raises
    ------
    ModelFileError
        for an unknown parameter, or arrays whose shapes do not fit their terms.
    """
    given = {
        name: held if isinstance(held, Expression) else parse(held, f"{declaration.name}.{name}")
        for name, held in (overrides or {}).items()
    }
    return Loaded(declaration, given, build(declaration, given))


def draw_params(loaded: Loaded, seed: int, realisation: int, initial: bool = False) -> Params:
    """Every array and graph of one realisation, with an instance axis of length 1.

    With `initial` trainable arrays are drawn from a stream of their own, see `disorder.draw`.
    """
    declaration, env = loaded.declaration, loaded.env
    edges = {
        t: _edges(loaded, t, term, seed, realisation)[None]
        for t, term in enumerate(loaded.hamiltonian.terms)
        if isinstance(getattr(term, "graph", None), EdgeList)
    }
    arrays = {}
    for slot in loaded.hamiltonian.slots:
        count = next(
            (len(e[0]) for t, e in edges.items() if array_of(loaded.hamiltonian.terms[t]) == slot.name),
            0,
        )
        shape = tuple(count if n == EDGES else n for n in slot.shape)
        held = loaded.sources[slot.name]
        where = f"{declaration.where}.arrays.{slot.name}"
        if slot.name in loaded.structure.snapshots:
            values = loaded.structure.snapshots[slot.name].read()
        elif held.law is None:
            values = read_array(held, declaration.directory, where)
        else:
            options = {
                key: getattr(held, key).value(env)
                for key in disorder.LAWS[held.law]
                if getattr(held, key) is not None
            }
            _check_options(options, where)
            values = disorder.draw(
                held.law,
                options,
                shape,
                seed=seed,
                realisation=realisation,
                name=slot.name,
                mirrored=slot.name in loaded.structure.mirrored,
                initial=initial and slot.trainable,
            )
        arrays[slot.name] = values[None]
    lower = {}
    for name, unit in declaration.units.items():
        if unit.lower is not None:
            size = loaded.hamiltonian.group(name).size
            held = unit.lower
            if isinstance(held, Expression) and held.name not in declaration.arrays:
                lower[name] = np.full((1, size), held.value(env))
            else:
                inline = f"units.{name}.lower"
                slot = held.name if isinstance(held, Expression) else inline
                lower[name] = arrays[slot].reshape(1, size).astype(np.float64)
    return Params(arrays, edges, lower)


def _check_options(options: Mapping[str, float], where: str) -> None:
    """What the numbers of a law must obey, where they come from expressions."""
    if not 0.0 <= options.get("p", 0.0) <= 1.0:
        raise ModelFileError(f"{where}.p", got=options["p"], expected="a probability, 0 to 1")
    if options.get("std", 0.0) < 0.0:
        raise ModelFileError(f"{where}.std", got=options["std"], expected="zero or more")
    if options.get("low", 0.0) > options.get("high", options.get("low", 0.0)):
        raise ModelFileError(f"{where}.low", got=options["low"], expected="at most `high`")


def _edges(loaded: Loaded, t: int, term: Pair | Many, seed: int, realisation: int) -> np.ndarray:
    index = loaded.structure.kept[t]
    where = f"{loaded.declaration.where}.terms[{index}].on"
    on = loaded.declaration.terms[index].on
    group = loaded.hamiltonian.group(term.a if isinstance(term, Pair) else term.group)
    key = key_of(seed, "graph", realisation, index)
    try:
        if on.graph == "random-regular":
            return graphs.random_regular(group.size, on.degree.integer(loaded.env), key)
        if on.graph == "erdos-renyi":
            return graphs.erdos_renyi(group.size, on.mean_degree.value(loaded.env), key)
    except ModelFileError as problem:
        place = where if problem.where.startswith("graph ") else problem.where
        raise ModelFileError(
            place, got=problem.got, expected=problem.expected, hint=problem.hint
        ) from None
    edges = read_array(on.edges, loaded.declaration.directory, f"{where}.edges")
    arity = 2 if isinstance(term, Pair) else term.arity
    if edges.ndim != 2 or edges.shape[1] != arity or not np.array_equal(edges, edges.astype(np.int64)):
        raise ModelFileError(
            f"{where}.edges", got=f"shape {list(edges.shape)}", expected=f"integers [edge, {arity}]"
        )
    edges = edges.astype(np.int64)
    if edges.size and not (edges.min() >= 0 and edges.max() < group.size):
        raise ModelFileError(
            f"{where}.edges",
            got=f"unit {int(edges.max() if edges.max() >= group.size else edges.min())}",
            expected=f"units 0 to {group.size - 1} of {group.name}",
        )
    if any(len(set(edge)) < arity for edge in edges.tolist()):
        raise ModelFileError(f"{where}.edges", hint="an edge joins a unit with itself")
    return edges


def coefficients(loaded: Loaded, temperatures: Sequence[float]) -> Coefficients:
    """``c_kt``: beta times the strength of a term; the strength itself for the priors' terms.

    Raises
    ------
    InputError
        for a temperature that is 0 or no number (infinite ones have beta = 0).
    """
    for temperature in temperatures:
        if temperature == 0 or math.isnan(temperature):
            raise InputError("temperature", got=temperature, expected="a number that is not 0")
    beta = 1.0 / np.asarray(temperatures, dtype=np.float64)
    shape = (len(beta), len(loaded.strengths))
    value, first, second = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for t, strength in enumerate(loaded.strengths):
        prior = isinstance(loaded.structure.kept[t], str)
        for k, b in enumerate(beta):
            s, s1, s2 = strength.jet(loaded.env, float(b))
            jets = (s, s1, s2) if prior else (b * s, s + b * s1, 2.0 * s1 + b * s2)
            value[k, t], first[k, t], second[k, t] = jets
    return Coefficients(beta, value, first, second)
