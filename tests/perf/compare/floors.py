"""The physical floor of each work: the least time its arithmetic, traffic and random words can take.

A floor is the sum of counted operations over measured limits (`limits`), on all threads, with nothing
else: no exponentials, no packing, no calls. It is that of the algorithm used, with

    flops   two per multiply-add at the speed of a large single-precision product; an addition that
            has no multiplication counts as two, since it takes the place of a multiply-add
    states  two per multiply-add of a product whose sources have two states: a row of subset sums
            chosen by four of them takes the place of four; with a matrix unit, three products of
            16-bit planes of the couplings, whichever is less
    reals   the same of other sources: multiply-adds, or six products of planes
    matrix  flops of a matrix unit, two per multiply-add of 16-bit numbers, from the first cache
    bytes   read plus written, where arrays do not stay in the caches
    words   random words of 32 bits at the speed of vectorised Philox4x32-10
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from works import WORKS

Count = Mapping[str, float]


def floor_seconds(work: str, limits: Mapping[str, float], ours: Mapping[str, float]) -> float | None:
    """Seconds per unit of a work; None where no floor is defined.

    Parameters
    ----------
    limits
        ``flops``, ``bytes`` and ``words`` per second.
    ours
        What physebm's process reported: ``flips``, the share of updates that change a spin.
    """
    if work not in COUNTS:
        return None
    count = COUNTS[work](WORKS[work].size, ours)
    per_flop = {"states": 0.25 / limits["flops"], "reals": 1.0 / limits["flops"]}
    if "matrix" in limits:
        by_planes = {"states": 3.0 / limits["matrix"], "reals": 6.0 / limits["matrix"]}
        per_flop = {name: min(each, by_planes[name]) for name, each in per_flop.items()}
    seconds = {name: 1.0 / limit for name, limit in limits.items()} | per_flop
    return sum(number * seconds[name] for name, number in count.items())


def _couplings(size) -> float:
    """Flops of one direction of a machine."""
    return 2 * size["Nv"] * size["Nh"]


def rbm_sweep(size, ours) -> Count:
    """A unit update of block Gibbs: both products of states, a word per unit."""
    units = size["Nv"] + size["Nh"]
    return {"states": 2 * _couplings(size) / units, "words": 1}


def real_hidden_sweep(size, ours) -> Count:
    """A unit update with real hidden units: states up, reals down; a word per visible unit, two per
    hidden one.
    """
    units = size["Nv"] + size["Nh"]
    words = (size["Nv"] + 2 * size["Nh"]) / units
    return {"states": _couplings(size) / units, "reals": _couplings(size) / units, "words": words}


def training(size, ours) -> Count:
    """An update of PCD-k: k sweeps of the chains; hidden means of batch and chains from states; both
    statistics v h as products; couplings read and written in double precision.
    """
    weights = size["Nv"] * size["Nh"]
    data = size["batch"] + size["chains"]
    return {
        "states": (2 * size["k"] * size["chains"] + data) * _couplings(size),
        "flops": data * 2 * weights,
        "words": size["k"] * size["chains"] * (size["Nv"] + size["Nh"]),
        "bytes": 2 * 8 * weights,
    }


def dense(size, ours) -> Count:
    """A spin update with cached fields: a flip adds a row of N couplings to them; a word."""
    return {"flops": 2 * size["N"] * ours["flips"], "words": 1}


def patterns(size, ours) -> Count:
    """A spin update through P overlaps of patterns +1, -1: signed sums of four overlaps stand in a
    table, so that the field is P/4 additions; so are the steps of four spins, P/4 more; in 16-bit
    integers, twice as many to a vector as multiply-adds; a word.
    """
    return {"flops": 2 * 2 * size["P"] / 4 / 2, "words": 1}


def planes(size, ours) -> Count:
    """A spin update of 32 lanes in a word, compared digit by digit: twelve words, and four more where
    one of 512 lanes is still undecided (512 / 2^12 of the vectors).
    """
    return {"words": (12 + 4 * 512 / 2**12) / 32}


def single_lattice(size, ours) -> Count:
    """A spin update with a word of its own; a spin is read and written once, a byte each."""
    return {"words": 1, "bytes": 2}


def real_lattice(size, ours) -> Count:
    """A spin update of a cubic lattice: six neighbours as multiply-adds, a word."""
    return {"flops": 4 * size["d"], "words": 1}


def annealing(size, ours) -> Count:
    """A temperature: one sweep of all chains (the work is the energies that the sweep knows)."""
    units = size["chains"] * (size["Nv"] + size["Nh"])
    return {name: units * number for name, number in rbm_sweep(size, ours).items()}


def potts(size, ours) -> Count:
    """An update: each site adds L rows of q couplings, a word; pair frequencies are L^2 / 2 increments
    of a chain (each reads and writes four bytes); couplings are read and written in double precision.
    """
    L, q, chains = size["L"], size["q"], size["chains"]
    updates = size["k"] * chains * L
    traffic = chains * L * L / 2 * 8 + 2 * 8 * (L * q) ** 2
    return {"flops": 2 * updates * L * q, "words": updates, "bytes": traffic}


def exact(size, ours) -> Count:
    """A state and visible unit: one product of weights carried along, one into the sum."""
    return {"flops": 4 * 2 ** size["Nh"] * size["Nv"]}


COUNTS: dict[str, Callable[[Mapping[str, float], Mapping[str, float]], Count]] = {
    **dict.fromkeys(("pcd1", "pcd10", "pcd10_2000", "digits"), training),
    "rbm_gibbs": rbm_sweep,
    **dict.fromkeys(("gaussian_hidden", "truncated_hidden"), real_hidden_sweep),
    **dict.fromkeys(("sk256", "sk1024"), dense),
    "hopfield": patterns,
    **dict.fromkeys(("ising2d", "ea8", "ea16"), planes),
    "ising2d_large": single_lattice,
    "ea_gaussian": real_lattice,
    "ais": annealing,
    "potts": potts,
    "log_z": exact,
}
