"""What becomes of a mistake: one message and an exit status, no traceback."""

from __future__ import annotations

import functools
import shlex
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import click

from physebm.errors import PhysebmError


def guarded(command: Callable) -> Callable:
    """Turn the project's errors into one message and an exit status, Ctrl-C into a hint."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        before = signal.signal(signal.SIGTERM, _terminated)
        try:
            command(*args, **kwargs)
        except PhysebmError as error:
            fail(f"{type(error).__name__}: {error}", error.exit_status)
        except KeyboardInterrupt as interrupt:
            text = "interrupted"
            if command.__name__ == "run":
                words = [word for word in sys.argv[1:] if word != "--restart"]
                text += f"; to continue where it stopped:\n  {shlex.join(['physebm', *words])}"
            fail(f"\n{text}", 143 if interrupt.args == ("SIGTERM",) else 130)
        except MemoryError as error:
            hint = "`physebm estimate STUDY` tells what a study needs"
            fail(f"not enough memory{f': {error}' if str(error) else ''}\n  hint      {hint}", 1)
        except BrokenPipeError:
            raise  # click's own business: the reader of a pipe went away
        except OSError as error:
            fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
        finally:
            signal.signal(signal.SIGTERM, before)

    return wrapped


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt("SIGTERM")


def fail(message: str, status: int) -> NoReturn:
    """Say it on the error stream and leave with that status."""
    click.echo(message, err=True)
    sys.exit(status)
