"""Whether threads that wait for each other pay, here and now; no bit depends on it.

Threads that share an update, or a lattice, meet several times a millisecond. Where other programs are
at work one of them will have lost its core, and the others wait for a turn of the scheduler: work that
takes half the time on two idle cores may take three times as long as on one thread.
"""

from __future__ import annotations

FIRST = 3  # shared calls before one on one thread is held against them; the first may have compiled
REST = 100  # calls on one thread before sharing is tried again


class Sharing:
    """What calls have taken, shared and alone, per unit of work.

    Attributes
    ----------
    on_trial
        Whether the next shared call is a trial, which had better be a short one.
    """

    def __init__(self):
        self._shared, self._alone = 0, float("inf")
        self._rest = 0
        self.on_trial = False

    def threads(self, most: int) -> int:
        """How many take the next call: `most` or one."""
        if most > 1 and self._rest > 0:
            self._rest -= 1
            return 1
        return most

    def tell(self, threads: int, most: int, seconds: float, work: float) -> None:
        """That a call which `most` could have shared has taken so long."""
        if most == 1:
            return
        each = seconds / work
        if threads == 1:
            self._alone = each
            self.on_trial = self._rest == 0
            return
        self._shared += 1
        if self._shared == FIRST:
            self._rest = 1
        elif each > self._alone:
            # what a call alone took long ago is taken anew before sharing rests for long
            self._rest = REST if self.on_trial else 1
        self.on_trial = False
