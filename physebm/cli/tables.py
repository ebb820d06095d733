"""Tables and lines of progress for people.

Tables are as wide as the terminal; written to a pipe or a file they keep every character. What is
under way stands on the error stream: on a terminal one line that goes again, else a line each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import click

# No table is this wide: where nobody looks at a terminal nothing is cut or folded.
UNBOUNDED = 10_000
# Columns of words keep this many characters, columns of numbers their longest; heads may be folded.
LEAST_WORDS = 12


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    title: str | None = None,
    words: Collection[str] = (),
) -> None:
    """Texts in columns, numbers to the right.

    The first column and those whose heads are in `words` are folded where a terminal is narrow; numbers
    are whole at any width that has room for them.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    rows = [list(row) for row in rows]
    console = Console(width=None if sys.stdout.isatty() else UNBOUNDED)
    table = Table(title=title, title_justify="left")
    for place, head in enumerate(heads):
        number = bool(place) and head not in words
        longest = max((len(row[place]) for row in rows), default=0)
        width = longest if number else min(longest, LEAST_WORDS)
        justify = "right" if number else "left"
        table.add_column(head, justify=justify, overflow="fold", min_width=width)
    for row in rows:
        table.add_row(*row)
    unbounded = console.options.update(width=UNBOUNDED)
    if console.measure(table, options=unbounded).minimum > console.width:
        table.box, table.padding = box.SIMPLE_HEAD, 0
    console.print(table)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A function that says what is under way."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: click.echo(text, err=True)
        return
    with console.status("") as line:
        yield lambda text: line.update(text)
