"""Threads share a call where it pays, judged by what calls have taken."""

from physebm.backends.numba_cpu.sharing import REST, Sharing


def calls(sharing, count, shared, alone, most=2):
    """What takes the next calls, where these take `shared` or `alone` seconds per unit of work."""
    taken = []
    for _ in range(count):
        threads = sharing.threads(most)
        taken.append(threads)
        sharing.tell(threads, most, 10.0 * (shared if threads > 1 else alone), 10.0)
    return taken


def test_idle_cores_are_shared():
    sharing = Sharing()
    sharing.tell(sharing.threads(2), 2, 50.0, 10.0)  # with compilation
    assert calls(sharing, 300, 0.6, 1.0) == [2, 2, 1] + [2] * 297


def test_busy_cores_are_tried_now_and_then():
    sharing = Sharing()
    calls(sharing, 9, 0.6, 1.0)
    # one slow call, one alone to hold it against, then the trial that is lost
    assert calls(sharing, 3 + REST, 2.0, 1.0) == [2, 1, 2] + [1] * REST
    assert sharing.on_trial
    assert calls(sharing, 1 + REST, 2.0, 1.0) == [2] + [1] * REST
    assert calls(sharing, 50, 0.6, 1.0) == [2] * 50
    assert not sharing.on_trial


def test_cores_that_are_busy_from_the_first_are_left_soon():
    assert calls(Sharing(), 4 + REST, 2.0, 1.0) == [2, 2, 2, 1, 2] + [1] * (REST - 1)


def test_what_is_slow_because_all_is_slow_is_shared_on():
    sharing = Sharing()
    calls(sharing, 9, 0.6, 1.0)
    assert calls(sharing, 100, 1.3, 2.2) == [2, 1] + [2] * 98


def test_calls_for_one_thread_tell_nothing():
    sharing = Sharing()
    assert calls(sharing, 20, 0.6, 9.0, most=1) == [1] * 20
    assert calls(sharing, 3, 0.6, 1.0) == [2] * 3
