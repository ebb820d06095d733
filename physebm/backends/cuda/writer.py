"""An indenting writer of C: blocks in braces, long argument lists broken."""

from __future__ import annotations

from contextlib import contextmanager

from physebm.backends.source import Writer

WIDTH = 100


class CWriter(Writer):
    """Lines of CUDA C."""

    @contextmanager
    def braces(self, head: str, close: str = "}"):
        """``head {``, an indented body, and the closing brace."""
        with self.block(f"{head} {{".lstrip()):
            yield
        self(close)

    @contextmanager
    def each(self, index: str, count: str):
        """A range that the threads of a block share out."""
        with self.braces(f"EACH({index}, {count})"):
            yield
