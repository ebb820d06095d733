"""Cold starts for walks back, and what they tell of phases that no forward chain entered.

Ends of forward chains know the phases that forward chains ended in. Walks back from there and walks
forward agree, whatever else the model has. Cold starts come from elsewhere: half of them are *quenched*
from random states by the heat bath of couplings `COLDER` times as strong, half are *uniform* states,
all units of a group equal. Where there are data, their samples are a third kind (`data_starts`): a
model that has learned some of them by heart may keep phases there that nothing else finds. All are then
swept at the target; those that no phase holds leave.

Let A be a phase in which walkers stay, Z_A its part of Z, and P_A the probability that a forward chain
ends in it. Walks back from A have ``<w'> = (Z_0 / Z_A) P_A`` (G. E. Crooks, Phys. Rev. E 61, 2361
(2000), for the function that is 1 in A and 0 elsewhere), so that by Jensen

    E[-log w'] >= log (Z_A / Z_0) - log P_A.

Where n forward chains saw nothing of A, P_A is about 1/n or less, and the mean over walks from there
lies some log n nats above that from the ends, unless Z_A is so much smaller that it does not matter.
The mean of ``-log w'`` over one kind of start less that over the ends is its *excess*; log-means do not
show it, for the walkers outside A carry them. Only positive excess speaks against an estimate: a phase
that lies lower is one that the target hardly visits. The converse does not hold: a phase of no weight
that a walk leaves with much work lies high as well, so that the verdict is suspect, never failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from physebm.backends.base import Backend
from physebm.errors import ModelFileError
from physebm.free_energy.estimate import Finding, Verdict
from physebm.free_energy.path import Path, scaled
from physebm.free_energy.walkers import Walkers
from physebm.lowering.positive import check_positive_form
from physebm.model.roles import visible_groups
from physebm.sampling import initial

# The quench: its sweeps, and the factor of the couplings.
QUENCH, COLDER = 32, 10.0
# Fewest cold starts, half of each kind, and fewest sweeps at the target before they walk.
FEWEST, RELAX = 32, 100
# Excess that is looked at: in errors, and in nats (less comes from slow relaxation as well).
SIGMAS, LEAST = 4.0, 0.5
# Standard errors beyond its mean to which the bracket reaches.
PADDING = 2.0


@dataclass(frozen=True)
class Excess:
    """How far walks back from one kind of start lie above those from forward ends, in nats.

    `top` is ``<-log w'>`` of the kind and `PADDING` standard errors.
    """

    value: float
    stderr: float
    top: float

    @property
    def counts(self) -> bool:
        """Whether it is more than noise and slow relaxation."""
        return self.value > max(LEAST, SIGMAS * self.stderr)


def cold_starts(
    path: Path,
    backend: Backend,
    key: tuple[int, int],
    count: int,
    sweeps: int,
    data: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Starts ``{group: x[walker, unit]}``: even walkers quenched, odd ones uniform; see the module.

    `sweeps` at the last row of the path, and no fewer than `RELAX`. Behind these `count` walkers come
    half as many (rounded up) at `data`, configurations ``{group: x[any, unit]}`` of all groups, one
    after another from the first.
    """
    beside = 0 if data is None else (count + 1) // 2
    walkers = Walkers(path, backend, key, count + beside)
    walkers.scatter()
    walkers.follow(_colder(path))
    walkers.move(0, QUENCH)
    x, number = walkers.state.x, np.arange((count + 1) // 2)
    # digits of the walker's number, visible groups first: hidden ones are drawn before they are read
    visible = visible_groups(path.hamiltonian)
    for group in sorted(walkers.plan.groups, key=lambda group: group.name not in visible):
        if group.prior.discrete:
            states = np.array(group.prior.states)[::-1]
            number, digit = np.divmod(number, len(states))
            uniform = states[digit][:, None]
        else:
            edge = path.params.lower.get(group.name)
            uniform = initial.all_up(group, len(number), 0.0 if edge is None else edge[0])
        x[group.name][1:count:2] = uniform[: count // 2]
        if data is not None:
            given = data[group.name]
            x[group.name][count:] = given[np.arange(beside) % len(given)]
    walkers.follow(path)
    walkers.place(x)
    walkers.move(path.rows - 1, max(sweeps, RELAX))
    return walkers.state.x


def _colder(path: Path) -> Path:
    """One row: the last one with stronger couplings, where continuous units bear that."""
    last = path.coefficients.take([path.rows - 1])
    row = scaled(path.hamiltonian, last, np.array([COLDER]))
    try:
        check_positive_form(path.hamiltonian, path.params, row)
    except ModelFileError:
        row = last
    return replace(path, coefficients=row)


def kinds(log_w: np.ndarray, count: int | None = None) -> dict[str, np.ndarray]:
    """Log-weights ``[walker]`` of walks from `cold_starts` by kind; those behind `count` are data."""
    cold, data = np.split(log_w, [len(log_w) if count is None else count])
    found = {"quenched": cold[::2], "uniform": cold[1::2]}
    return found | {"data": data} if len(data) else found


def excess(ends: np.ndarray, kind: np.ndarray) -> Excess:
    """From log-weights ``[walker]`` of walks back from forward ends and from one kind of start.

    The error takes the larger of both variances for the kind: of few walkers one's own may be too
    small by chance.
    """
    own, of_ends = (each.var(ddof=1) for each in (kind, ends))
    mean, error = -kind.mean(), np.sqrt(max(own, of_ends) / len(kind))
    return Excess(
        float(mean + ends.mean()),
        float(np.sqrt(error**2 + of_ends / len(ends))),
        float(mean + PADDING * error),
    )


def cold_numbers(found: Mapping[str, Excess]) -> dict[str, float]:
    """Diagnostics ``excess_KIND`` and ``excess_KIND_stderr`` of kinds of starts ``{kind: excess}``."""
    numbers = {}
    for kind, each in found.items():
        numbers |= {f"excess_{kind}": each.value, f"excess_{kind}_stderr": each.stderr}
    return numbers


def cold_findings(found: Mapping[str, Excess]) -> list[Finding]:
    """What kinds of starts ``{kind: excess}`` say against an estimate."""
    return [
        Finding(
            Verdict.SUSPECT,
            f"walks back from {kind} starts lie {each.value:.3g} +- {each.stderr:.1g} nats above those "
            "from forward ends: a phase that forward chains miss, or one that is left slowly",
        )
        for kind, each in found.items()
        if each.counts
    ]
