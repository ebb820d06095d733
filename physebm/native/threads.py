"""Threads that compiled functions run on: pools that live as long as the process.

A process that was forked has the pools of its parent, but none of their threads: it begins anew.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

__all__ = ["pool", "starting"]

_pools: dict[str, ThreadPoolExecutor] = {}
_starting = Lock()


def pool(name: str, threads: int) -> ThreadPoolExecutor:
    """The pool of a name, made at the first call."""
    if name not in _pools:
        _pools[name] = ThreadPoolExecutor(threads, thread_name_prefix=name)
    return _pools[name]


def starting() -> Lock:
    """Held while several tasks that wait for each other enter a pool, so that they stand together."""
    return _starting


def _begin_anew() -> None:
    global _starting
    _pools.clear()
    _starting = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
