"""What a plan of bit planes says, in the words of its kernels: the same for every machine."""

from __future__ import annotations

from dataclasses import dataclass

from physebm.lowering.plan import Constant, Layout, Neighbours, Rule, SweepPlan, Weights
from physebm.model.units import UnitKind
from physebm.rng.streams import Purpose, last_word

DIGITS = 33  # of a threshold: whether it is 2^32, certain; then 32 binary digits


@dataclass(frozen=True)
class Sliced:
    """What a plan of bit planes says, in the words of its kernels."""

    ising: bool
    metropolis: bool
    signed: bool
    pair: int
    constant: int | None

    @staticmethod
    def of(plan: SweepPlan) -> Sliced:
        """Read off a plan whose layout is planes."""
        move = plan.moves[0]
        pair = next(t for t in move.reads if isinstance(plan.terms[t], Neighbours))
        constants = [t for t in move.reads if isinstance(plan.terms[t], Constant)]
        return Sliced(
            plan.groups[0].prior.kind is UnitKind.ISING,
            move.rule is Rule.METROPOLIS,
            plan.terms[pair].weights is not Weights.UNIT,
            pair,
            constants[0] if constants else None,
        )

    @property
    def states(self) -> int:
        """Thresholds of a field: of Metropolis one for each present state."""
        return 2 if self.metropolis else 1

    @property
    def stride(self) -> int:
        """Difference of fields between one count of neighbours and the next."""
        return 2 if self.ising else 1

    @property
    def last(self) -> int:
        """The counter word c3 of the move's first draw."""
        purpose = Purpose.METROPOLIS_PLANES if self.metropolis else Purpose.HEAT_BATH_PLANES
        return last_word(purpose, 0)


def is_sliced(plan: SweepPlan) -> bool:
    """Whether the lanes of a plan stand in bit planes."""
    return plan.layout is Layout.PLANES
