"""Which samples an update sees: epochs of random permutations, read off in batches.

The samples of all epochs stand in one endless row: the permutation of epoch 0, then that of epoch 1,
... Update t takes the places ``t B ... (t + 1) B - 1`` of it. Every epoch holds every sample exactly
once, whatever the batch size B; where B does not divide the number of samples a batch may reach into
the next epoch (and could hold a sample twice). A batch depends on (key, t) alone, not on the updates
before it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from physebm.arrays import Int64, Key
from physebm.data.permutation import permutation
from physebm.errors import StudyFileError


def minibatch(key: Key, update: int, batch: int, samples: int, where: str = "train.batch") -> Int64:
    """The rows of the samples that update number `update` (0, 1, ...) sees, ``[batch]``.

    Parameters
    ----------
    key
        Of the stream, e.g. ``key_of(seed, "minibatch", ...)``.
    update, batch, samples
        Number of the update, samples per update, samples there are.
    where
        The key of the study that gave the batch, for errors.

    Raises
    ------
    StudyFileError
        for a batch below 1 or above `samples`.
    """
    if not 1 <= batch <= samples:
        raise StudyFileError(
            where,
            got=int(batch),
            expected=f"1 to {samples}, the number of training samples",
            hint="too few samples for the batch" if batch > samples else None,
        )
    epoch, first = divmod(int(update) * int(batch), int(samples))
    rows = _epoch(key, samples, epoch)[first : first + batch]
    if len(rows) == batch:
        return rows.copy()
    return np.concatenate([rows, _epoch(key, samples, epoch + 1)[: batch - len(rows)]])


@lru_cache(maxsize=4)
def _epoch(key: Key, samples: int, epoch: int) -> Int64:
    return permutation(key, samples, epoch)
