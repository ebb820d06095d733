"""Options and fixtures of all tests."""

import os
import signal
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the texts under tests/golden instead of comparing with them",
    )


def pytest_configure(config):
    """One folder of compiled kernels for all tests, kept between sessions; and Ctrl-C that works.

    A shell starts background jobs with SIGINT ignored, and their children inherit that: tests of
    interruption would then wait for a signal that never comes.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PHYSEBM_CACHE" not in os.environ and hasattr(config, "cache"):
        os.environ["PHYSEBM_CACHE"] = str(config.cache.mkdir("kernels"))


@pytest.fixture
def golden(request):
    """``golden(name, text)`` compares a text with ``tests/golden/name``, or rewrites it."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{name} is missing; make it with --update-golden and read it"
        assert text == path.read_text(encoding="utf-8"), "review the change, then --update-golden"

    return check
