"""Small models written by hand for the tests of the rewrites, with coefficients from any c(beta)."""

from __future__ import annotations

import itertools

import numpy as np

from physebm.model.energy import reduced_potential
from physebm.model.hamiltonian import Group, Hamiltonian, Slot
from physebm.model.params import Coefficients, Params
from physebm.model.terms import Field, LowRank, Square
from physebm.model.units import Prior, UnitKind

BETAS = np.array([0.3, 0.8, 1.7])


def coefficients(betas, *jets):
    """Coefficients of terms given as functions of beta that return (c, dc, d2c)."""
    betas = np.asarray(betas, dtype=float)
    table = np.array([[jet(b) for jet in jets] for b in betas])
    return Coefficients(betas, table[..., 0], table[..., 1], table[..., 2])


def plain(scale):
    """``c = beta scale``."""
    return lambda b: (b * scale, scale, 0.0)


def fixed(value):
    """A coefficient that does not carry beta."""
    return lambda b: (value, 0.0, 0.0)


def cubic(scale):
    """``c = scale beta^3``: a scale that depends on the temperature as T^-2."""
    return lambda b: (scale * b**3, 3 * scale * b**2, 6 * scale * b)


def low_rank_model(kind, shape, P, *, seed=0, jet=None, q=0, binary=False, instances=2):
    """A low-rank term and a field on one group (Gaussian kinds: with a prior of variance 1/2)."""
    rng = np.random.default_rng(seed)
    prior = Prior(UnitKind(kind), q)
    tail = (q,) if q else ()
    group = Group("s", prior, shape)
    xi = rng.normal(size=(instances, P, *shape, *tail))
    if binary:
        xi = np.where(xi > 0, 1, -1).astype(np.int8)
    h = rng.normal(size=(instances, *shape, *tail))
    terms = [Field("s", "h"), LowRank("s", "xi")]
    jets = [plain(1.0), jet or plain(1.0 / group.size)]
    if not prior.discrete:
        terms.append(Square("s"))
        jets.append(fixed(2.0))
    hamiltonian = Hamiltonian(
        "toy",
        (group,),
        tuple(terms),
        (Slot("h", h.shape[1:]), Slot("xi", xi.shape[1:], quenched=True)),
    )
    lower = {"s": np.full((instances, group.size), -0.3)} if kind == "truncated_gaussian" else {}
    return hamiltonian, Params({"h": h, "xi": xi}, {}, lower), coefficients(BETAS, *jets)


def enumerate_states(hamiltonian):
    """Every joint state of the sampled groups, which are all discrete."""
    groups = hamiltonian.sampled
    axes = [group.prior.states for group in groups for _ in range(group.size)]
    table = np.array(list(itertools.product(*axes)))
    cuts = np.cumsum([group.size for group in groups])[:-1]
    return {g.name: x for g, x in zip(groups, np.split(table, cuts, axis=1))}


def potentials(model, state, instance):
    """``u[lane, rung]`` for one instance."""
    lanes = len(next(iter(state.values())))
    return reduced_potential(*model, state, np.full(lanes, instance))
