"""Annealed importance sampling, forward and in reverse.

Forward (R. M. Neal, Stat. Comput. 11, 125 (2001)). Every chain is drawn from row 0, where units are
independent, and walks through all rows of a path (`walkers`): ``log Z_K = log Z_0 + log <w>``, and

    E[log w] <= E[log (1/n) sum w] <= log Z_K - log Z_0.

Reverse. A walk from draws of row K down to row 0 is an annealing of its own, with the identity
``<w'> = Z_0 / Z_K``. That holds for any kernels that leave their rows invariant (Jarzynski); they need
not be the reversals of the forward ones, so that the same sweeps serve, in the same order of units. So
``log Z_K = log Z_0 - log <w'>``, with the opposite bias:

    E[-log w'] >= E[-log (1/n) sum w'] >= log Z_K - log Z_0.

Both together bracket log Z (R. B. Grosse, Z. Ghahramani, R. P. Adams, arXiv:1511.02543 (2015); Y.
Burda, R. B. Grosse, R. Salakhutdinov, AISTATS (2015)). The reverse bound is worth what its starts
are: they must be draws of the target. Where none are given, one half are ends of the forward chains,
resampled by weight, and the other half random states; both halves are swept at the target as often
as a forward chain, or more often if that is little, before they walk back. Where the forward chains
never saw a phase that sweeps from random states find, or either sticks, the two directions disagree.
Quenched states, uniform ones and data walk back, too (`cold`): they see phases that neither forward
chains nor random states enter, such as the ordered one beyond a first-order jump. They count for the
verdict and the upper end of the bracket, not for the reverse value: that asks for draws of the target.
A phase that none of them finds stays unseen; `bounded` may know of it. Given starts stay as they are.

The weights are those of all units. Summing factorising hidden units out of them lowers their variance,
but takes half as many products again as a sweep; rows are the better use of that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from physebm.backends.base import Backend
from physebm.errors import InputError
from physebm.free_energy import averages
from physebm.free_energy.cold import (
    FEWEST,
    RELAX,
    Excess,
    cold_findings,
    cold_numbers,
    cold_starts,
    excess,
    kinds,
)
from physebm.free_energy.estimate import Estimate, Finding, Verdict, judged
from physebm.free_energy.path import Path
from physebm.free_energy.schedule import offset
from physebm.free_energy.walkers import Progress, Walkers
from physebm.free_energy.weights import findings, log_mean, systematic
from physebm.observables.reweighting import log_mean_exp
from physebm.rng.streams import key_of

METHOD = "ais"
# Differences of the two directions: in errors, and in nats.
SIGMAS, GAP, WORST_GAP = 4.0, 1.0, 10.0
# Standard errors beyond its ends to which the bracket reaches.
PADDING = 2.0
# What rounding alone may do, relative to log Z.
ROUNDING = 1e-6

States = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Walked:
    """Log-weights ``[chain]`` of a walk, and where its chains ended.

    `ends` are configurations ``{group: x[chain, unit]}`` and `energies` their term energies
    ``[chain, term]``: with the weights, a sample of the last row walked.
    """

    log_w: np.ndarray
    ends: States
    energies: np.ndarray


def forward(
    path: Path,
    backend: Backend,
    key: tuple[int, int],
    chains: int,
    sweeps: int = 1,
    progress: Progress | None = None,
) -> Walked:
    """Walks from row 0 to the last: ``<w> = Z_K / Z_0``; `sweeps` at every row."""
    walkers = Walkers(path, backend, key, chains)
    walkers.draw()
    log_w = walkers.walk(range(path.rows), sweeps, progress)
    return Walked(log_w, walkers.state.x, walkers.energies)


def reverse(
    path: Path,
    backend: Backend,
    key: tuple[int, int],
    start: States,
    sweeps: int = 1,
    progress: Progress | None = None,
) -> Walked:
    """Walks from draws of the last row ``{group: x[chain, unit]}`` to row 0: ``<w> = Z_0 / Z_K``."""
    walkers = Walkers(path, backend, key, len(next(iter(start.values()))))
    walkers.place(start)
    log_w = walkers.walk(range(path.rows - 1, -1, -1), sweeps, progress)
    return Walked(log_w, walkers.state.x, walkers.energies)


def annealed(
    path: Path,
    backend: Backend,
    seed: int = 0,
    name: tuple[object, ...] = (),
    *,
    chains: int = 1000,
    sweeps: int = 1,
    start: States | None = None,
    data: States | None = None,
    progress: Progress | None = None,
) -> Estimate:
    """The log Z of the last row of a path by annealed importance sampling, with its reverse.

    Memory: configurations of the chains and one number per row. Cost: ``rows * sweeps`` sweeps of all
    chains, as much again for the reverse with its default starts, a quarter of that for cold ones.

    Parameters
    ----------
    seed, name
        What the random words are addressed by.
    chains
        Forward chains. The reverse takes as many from `start`, or half as many of its own.
    sweeps
        Heat-bath sweeps at every row.
    start
        Draws of the last row ``{group: x[any, unit]}`` of all groups, as independent as they can be;
        fewer than the chains are repeated, and the error is that of their number.
    data
        Configurations of all groups at data, as `data_starts` gives them: one more kind of cold start.
    progress
        Called with rows done and rows in all, forward and then in reverse.

    Returns
    -------
    Estimate
        `low` is the mean forward log-weight and `high` minus the mean reverse one, plus ``log Z_0`` and
        two errors outwards; where cold starts lie higher, `high` reaches up to them. The diagnostic
        `averages` gives energy and entropy (`averages.Averages.thermal`).

    Raises
    ------
    InputError
        for starts without all groups, or fewer than two chains.
    StudyError
        for a weight that is not finite.
    """
    if chains < 2:
        raise InputError("ais.chains", got=chains, expected="2 or more, to have an error")
    there = forward(path, backend, key_of(seed, "ais", *name, "forward"), chains, sweeps, progress)
    more = {"sweeps": sweeps, "starts": "own" if start is None else "given"}
    more["averages"] = averages.of_chains(
        path.base_log_z + float(log_mean_exp(there.log_w)), there.log_w, there.energies
    )
    key = key_of(seed, "ais", *name, "reverse")
    if start is not None:
        begun, repeats = _given_starts(path, start, chains)
        log_w = reverse(path, backend, key, begun, sweeps, progress).log_w
        # chains from one start share its luck: their mean is one weight
        return from_weights(
            path, there.log_w, log_mean_exp(log_w.reshape(repeats, -1), axis=0), more=more
        )
    begun = own_starts(path, backend, key_of(seed, "ais", *name, "starts"), there, sweeps)
    own = len(next(iter(begun.values())))
    count = max(FEWEST, chains // 8)
    cold = key_of(seed, "ais", *name, "cold")
    cold = cold_starts(path, backend, cold, count, path.rows * sweeps, data)
    begun = {group: np.concatenate([x, cold[group]]) for group, x in begun.items()}
    log_w = reverse(path, backend, key, begun, sweeps, progress).log_w
    beside = {} if own < 4 else {"random": log_w[own // 2 : own]}
    found = {
        kind: excess(log_w[: max(2, own // 2)], each)
        for kind, each in (beside | kinds(log_w[own:], count)).items()
    }
    return from_weights(path, there.log_w, log_w[:own], found, more)


def own_starts(
    path: Path, backend: Backend, key: tuple[int, int], there: Walked, sweeps: int
) -> dict[str, np.ndarray]:
    """Starts of a reverse walk from the ends of a forward one and from random states; see the module.

    Half as many as `there` has chains, rounded up, and at least two.
    """
    chains = len(there.log_w)
    count = max(2, -(-chains // 2))
    resampled = systematic(there.log_w, offset(key, 0, 0))
    # evenly spaced, so that copies of one chain stay as few as they can be
    from_ends = resampled[np.linspace(0, chains - 1, count // 2).astype(int)]
    walkers = Walkers(path, backend, key, count)
    walkers.scatter()
    x = walkers.state.x
    for group, values in x.items():
        values[: len(from_ends)] = there.ends[group][from_ends]
    walkers.place(x)
    walkers.move(path.rows - 1, max(path.rows * sweeps, RELAX) if sweeps else 0)
    return walkers.state.x


def _given_starts(path: Path, start: States, chains: int) -> tuple[dict[str, np.ndarray], int]:
    """As many starts as chains, spread over those given; or all given ones repeated, how often."""
    for group in path.hamiltonian.groups:
        if group.name not in start or np.shape(start[group.name])[1:] != (group.size,):
            got = list(np.shape(start[group.name])) if group.name in start else sorted(start)
            raise InputError(
                f"ais.start.{group.name}",
                got=got,
                expected=f"configurations [chain, {group.size}] of every group",
            )
    given = len(next(iter(start.values())))
    if given < 2:
        raise InputError("ais.start", got=f"{given} configurations", expected="2 or more")
    repeats = max(1, chains // given)
    rows = np.tile(np.linspace(0, given - 1, min(given, chains)).astype(int), repeats)
    return {group.name: start[group.name][rows] for group in path.hamiltonian.groups}, repeats


def from_weights(
    path: Path,
    log_w: np.ndarray,
    reverse_log_w: np.ndarray | None = None,
    cold: Mapping[str, Excess] | None = None,
    more: Mapping[str, object] | None = None,
) -> Estimate:
    """An estimate from log-weights ``[chain]`` of both directions, judged.

    Without the reverse there is no upper end of the bracket, and the verdict is suspect at best:
    weights alone know nothing of what no chain has seen. `cold` are excesses of other kinds of starts
    by name, see the module `cold`; `more` are further diagnostics to keep.
    """
    base, there = path.base_log_z, log_mean(log_w)
    log_z = base + there.value
    found = findings(there, "forward weights")
    diagnostics: dict[str, object] = {
        "rows": path.rows,
        "chains": there.chains,
        "base_log_z": base,
        "ess": there.effective,
        "largest_share": there.share,
        "log_weight_variance": there.variance,
        "bias": there.bias,
        "jackknife_stderr": there.jackknife,
        "low_stderr": there.mean_log_stderr,
        "log_weights": np.asarray(log_w, dtype=np.float64),
        **(more or {}),
    }
    high = float("nan")
    if reverse_log_w is None:
        reason = "no reverse run: phases that no forward chain entered would not show"
        found.append(Finding(Verdict.SUSPECT, reason))
    else:
        back = log_mean(reverse_log_w)
        high = base - back.mean_log + PADDING * back.mean_log_stderr
        diagnostics |= {
            "reverse": base - back.value,
            "reverse_stderr": back.stderr,
            "reverse_chains": back.chains,
            "reverse_ess": back.effective,
            "reverse_largest_share": back.share,
            "reverse_log_weight_variance": back.variance,
            "high_stderr": back.mean_log_stderr,
            "gap": -back.value - there.value,
            "reverse_log_weights": np.asarray(reverse_log_w, dtype=np.float64),
        }
        found += findings(back, "reverse weights", Verdict.SUSPECT)
        found += gap_findings(there.value, there.stderr, -back.value, back.stderr)
    if cold:
        diagnostics |= cold_numbers(cold)
        found += cold_findings(cold)
        high = max([high, *(base + each.top for each in cold.values() if each.counts)])
    verdict, reason = judged(found)
    low = base + there.mean_log - PADDING * there.mean_log_stderr
    return Estimate(METHOD, log_z, there.stderr, low, high, verdict, reason, diagnostics)


def gap_findings(forth: float, stderr: float, back: float, back_stderr: float) -> list[Finding]:
    """What the distance between the two directions' ``log Z_K/Z_0`` says."""
    gap, error = back - forth, float(np.hypot(stderr, back_stderr))
    allowed = SIGMAS * error + ROUNDING * (1.0 + abs(forth))
    if abs(gap) <= min(allowed, GAP):
        return []
    verdict = Verdict.SUSPECT if abs(gap) <= WORST_GAP else Verdict.FAILED
    apart = f" ({abs(gap) / error:.1f} errors)" if error > 0 else ""
    reason = f"reverse and forward differ by {gap:.3g} nats{apart}: more rows or sweeps"
    return [Finding(verdict, reason)]
