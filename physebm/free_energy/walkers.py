"""Walkers on the rows of a path: all chains in one call, all at the same row, weights along the way.

A walk over rows ``r_0, r_1, ...`` from draws x_0 of row r_0 gathers

    log w = sum_j [u_{r_{j-1}}(x_{j-1}) - u_{r_j}(x_{j-1})],

x_{j-1} the configuration that the sweeps at row r_{j-1} left. For kernels that leave each row invariant
``<w> = Z_end / Z_start``, whatever else they are (C. Jarzynski, Phys. Rev. Lett. 78, 2690 (1997); R. M.
Neal, Stat. Comput. 11, 125 (2001)). Weights are summed in float64. Coefficients and their threshold
tables are bound for `BLOCK` rows at a time, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from physebm.backends.base import Backend, Lanes, LaneState, Launch, launch
from physebm.errors import StudyError
from physebm.free_energy.path import Path
from physebm.lowering.operands import bind
from physebm.lowering.pipeline import Options, lower
from physebm.model.params import Coefficients
from physebm.sampling import initial

BLOCK = 256

Progress = Callable[[int, int], None]


class Walkers:
    """Configurations of many chains with the heat bath of any row.

    Parameters
    ----------
    path
        Its Hamiltonian and arrays; rows may be given anew by `follow`.
    key
        64-bit key of all random words; walker c has chain number c.
    count
        Number of walkers.
    """

    def __init__(self, path: Path, backend: Backend, key: tuple[int, int], count: int):
        self.plan = lower(path.hamiltonian, Options.of(path.params, lanes=count))
        self._kernels = backend.compile(self.plan)
        self._operands = bind(self.plan, path.hamiltonian, path.params)
        keys = np.tile(np.array(key, dtype=np.uint32), (count, 1))
        self._lanes = Lanes(np.zeros(count), np.zeros(count), np.arange(count), keys)
        self._sweep = 0
        self.follow(path)
        self.state = LaneState({})
        self.energies = np.zeros((count, len(self.plan.terms)))

    def __len__(self) -> int:
        return len(self._lanes)

    def follow(self, path: Path) -> None:
        """Walk along the rows of another path of the same model."""
        self._path, self._bound = path, (-1, None)

    def _at(self, row: int) -> Launch:
        """What kernels read, with all walkers at a row."""
        block = row // BLOCK
        if self._bound[0] != block:
            rows = slice(block * BLOCK, min((block + 1) * BLOCK, self._path.rows))
            coefficients: Coefficients = self._path.coefficients.take(rows)
            self._bound = block, launch(self.plan, self._operands, coefficients)
        self._lanes.rung[:] = row - block * BLOCK
        return self._bound[1]

    def draw(self) -> None:
        """Exact draws of row 0: its units are independent, so that one sweep forgets any start."""
        groups = self.plan.groups
        self.place({g.name: initial.all_up(g, len(self), self._edge(g.name)) for g in groups})
        self.move(0, 1)

    def scatter(self) -> None:
        """Random states: uniform of discrete units, of unit scale above their edge of others."""
        lanes, everyone = self._lanes, slice(None)
        self.place(
            {
                group.name: initial.random(self.plan, lanes, g, everyone, 1.0, self._edge(group.name))
                for g, group in enumerate(self.plan.groups)
            }
        )

    def _edge(self, name: str):
        edge = self._path.params.lower.get(name)
        return 0.0 if edge is None else edge[0]

    def place(self, configurations: Mapping[str, np.ndarray]) -> None:
        """Put walkers at given configurations ``{group: x[walker, unit]}`` of all groups."""
        self.state = initial.empty(self.plan, len(self))
        for name, x in self.state.x.items():
            x[:] = configurations[name]
        bound = self._at(0)
        self._kernels.prepare(self.state, self._lanes, bound)
        self.energies = self._kernels.energies(self.state, self._lanes, bound)

    def copy(self, parents: np.ndarray) -> None:
        """Let walker c go on from where walker ``parents[c]`` stands, with words of its own."""
        self.state.rearrange(parents)
        self.energies = self.energies[parents]

    def move(self, row: int, sweeps: int) -> None:
        """Sweeps of all walkers at a row; `energies` are the term energies afterwards."""
        bound = self._at(row)
        self.energies = self._kernels.sweep(self.state, self._lanes, bound, self._sweep, sweeps)
        self._sweep += sweeps

    def work(self, start: int, end: int) -> np.ndarray:
        """``u_end(x) - u_start(x)`` of two rows, ``[walker]``.

        Raises
        ------
        StudyError
            where it is not finite; names row and chain.
        """
        return self.work_to(self._path, start, end)

    def work_to(self, path: Path, start: int, end: int) -> np.ndarray:
        """As `work`, of two rows of another path of the same model."""
        step = path.coefficients.value[end] - path.coefficients.value[start]
        total = np.full(len(self), path.constants[end] - path.constants[start])
        # term by term: no bit of a walker depends on how many there are
        for t, c in enumerate(step):
            total += c * self.energies[:, t]
        if not np.isfinite(total).all():
            chain = int(np.argmin(np.isfinite(total)))
            raise StudyError(
                f"log Z by annealing: a weight that is not finite between rows {start} and {end} "
                f"(factors {path.coefficients.beta[start]:g} and {path.coefficients.beta[end]:g}), "
                f"chain {chain}; the model may not be normalisable there"
            )
        return total

    def walk(
        self, rows: Sequence[int], sweeps: int = 1, progress: Progress | None = None
    ) -> np.ndarray:
        """``log w [walker]`` of a walk over `rows`, the walkers being draws of the first.

        The weight needs no sweep at the last row; there is one, so that walkers end near that model.
        `progress` is called with rows done and all rows.
        """
        log_w = np.zeros(len(self))
        for j in range(1, len(rows)):
            log_w -= self.work(rows[j - 1], rows[j])
            self.move(rows[j], sweeps)
            if progress is not None:
                progress(j, len(rows) - 1)
        return log_w
