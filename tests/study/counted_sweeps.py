"""A backend that counts what estimates of cost promise."""

from physebm.backends.select import select


class Counting:
    """The numba backend, counting sweeps of single chains."""

    name = "numba"

    def __init__(self):
        self.sweeps = 0

    def compile(self, plan):
        return _Counted(select("numba").compile(plan), self)


class _Counted:
    def __init__(self, kernels, counting):
        self._kernels, self._counting = kernels, counting

    def __getattr__(self, name):
        return getattr(self._kernels, name)

    def sweep(self, state, lanes, launch, first, count):
        self._counting.sweeps += len(lanes) * count
        return self._kernels.sweep(state, lanes, launch, first, count)

    def advance(self, state, lanes, launch, first, count):
        self._counting.sweeps += len(lanes) * count
        self._kernels.advance(state, lanes, launch, first, count)
