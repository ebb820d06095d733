"""Batches as addresses: every epoch sees each sample once, and no history is needed."""

import numpy as np
import pytest

from physebm.data import minibatch as module
from physebm.data.minibatch import minibatch
from physebm.data.permutation import permutation
from physebm.errors import StudyFileError

KEY = (17, 4)


@pytest.mark.parametrize(("samples", "batch"), [(12, 4), (10, 4), (7, 7), (7, 5), (5, 1)])
def test_every_epoch_visits_every_sample_once(samples, batch):
    rows = np.concatenate([minibatch(KEY, t, batch, samples) for t in range(3 * samples)])
    assert len(rows) == 3 * samples * batch
    for epoch in rows.reshape(-1, samples):
        assert sorted(epoch.tolist()) == list(range(samples))
    assert rows[:samples].tolist() == permutation(KEY, samples, 0).tolist()
    assert rows[samples : 2 * samples].tolist() == permutation(KEY, samples, 1).tolist()


def test_an_update_needs_no_history():
    forward = [minibatch(KEY, t, 4, 10).tolist() for t in range(20)]
    module._epoch.cache_clear()
    backward = [minibatch(KEY, t, 4, 10).tolist() for t in reversed(range(20))]
    assert forward == backward[::-1]
    module._epoch.cache_clear()
    assert minibatch(KEY, 13, 4, 10).tolist() == forward[13]


def test_a_batch_may_be_changed_by_its_owner():
    before = minibatch(KEY, 0, 4, 12).tolist()
    minibatch(KEY, 0, 4, 12)[:] = 0
    assert minibatch(KEY, 0, 4, 12).tolist() == before


def test_epochs_and_keys_differ():
    assert permutation(KEY, 20, 0).tolist() != permutation(KEY, 20, 1).tolist()
    assert permutation(KEY, 20, 0).tolist() != permutation((17, 5), 20, 0).tolist()


def test_late_updates_are_cheap_and_exact():
    t = 2**33
    assert sorted(minibatch(KEY, t, 8, 8).tolist()) == list(range(8))


def test_batches_that_cannot_be():
    for batch, part in ((11, "too few samples for the batch"), (0, "1 to 10"), (-1, "1 to 10")):
        with pytest.raises(StudyFileError) as caught:
            minibatch(KEY, 0, batch, 10)
        assert part in str(caught.value) and "train.batch" in str(caught.value)


def test_rounds_go_round_with_the_counter():
    """Epoch 2^32 has the words of epoch 0: the round is one word of the counter."""
    assert np.array_equal(permutation(KEY, 12, 2**32 + 5), permutation(KEY, 12, 5))
