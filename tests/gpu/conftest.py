"""Tests that need a GPU: skipped without one, failures where PHYSEBM_REQUIRE_GPU=1 asks for one."""

import os

import pytest

from physebm.backends.cuda.cupy_device import why_unusable


def pytest_collection_modifyitems(items):
    """Mark everything here, and skip or fail it where no GPU can be used."""
    reason = why_unusable()
    for item in items:
        if "tests/gpu/" not in item.path.as_posix():
            continue
        item.add_marker(pytest.mark.gpu)
        if reason and os.environ.get("PHYSEBM_REQUIRE_GPU") != "1":
            item.add_marker(pytest.mark.skip(reason=reason.splitlines()[0]))


@pytest.fixture(autouse=True)
def _a_gpu_is_there():
    reason = why_unusable()
    assert reason is None, f"PHYSEBM_REQUIRE_GPU=1, but {reason}"
