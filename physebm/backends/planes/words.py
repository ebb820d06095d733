"""Which bit of which word of which tile a lane is: places alone, no bit of a lane depends on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from physebm.backends.base import Lanes


@dataclass(frozen=True)
class Words:
    """Places of lanes, and what the words of a tile need to draw.

    Attributes
    ----------
    lane_of
        Lane at ``[tile, word, bit]``, -1 where none is.
    stream
        Chain group (walker / 32) and key of every word, ``[tile, 3, word]``.
    instance
        Of every word ``[tile, word]``; that of the tile's first word where there is no lane.
    """

    lane_of: np.ndarray
    stream: np.ndarray
    instance: np.ndarray
    _of: tuple[np.ndarray, np.ndarray, np.ndarray]

    @staticmethod
    def of(lanes: Lanes, width: int, shared: bool) -> Words:
        """Lanes in tiles of `width` words, of one instance each unless the graph is `shared`."""
        group, count = words_of(lanes)
        first = np.zeros(count, dtype=np.int64)
        first[group] = np.arange(len(lanes))
        instance = lanes.instance[first]
        # words are numbered by instance; a tile starts anew where the graph changes
        start = np.zeros(count, dtype=np.int64) if shared else instance
        cuts = np.flatnonzero(np.diff(start, prepend=-1))
        within = np.arange(count) - np.repeat(cuts, np.diff(np.append(cuts, count)))
        new_tile = within % width == 0
        tile, place = np.cumsum(new_tile) - 1, within % width
        tiles = int(tile[-1]) + 1
        lane_of = np.full((tiles, width, 32), -1, dtype=np.int64)
        lane_of[tile[group], place[group], lanes.walker & 31] = np.arange(len(lanes))
        stream = np.zeros((tiles, 3, width), dtype=np.uint32)
        stream[tile, 0, place] = lanes.walker[first] >> 5
        stream[tile, 1:, place] = lanes.key[first]
        of_word = np.repeat(instance[new_tile][:, None], width, axis=1)
        of_word[tile, place] = instance
        held = tuple(a.copy() for a in (lanes.instance, lanes.walker, lanes.key))
        return Words(lane_of, stream, of_word, held)

    @property
    def lanes(self) -> int:
        """How many lanes have a place."""
        return len(self._of[0])

    def hold(self, lanes: Lanes) -> bool:
        """Whether these are the places of `lanes`."""
        now = (lanes.instance, lanes.walker, lanes.key)
        return all(a.shape == b.shape and (a == b).all() for a, b in zip(self._of, now))


def words_of(lanes: Lanes) -> tuple[np.ndarray, int]:
    """The word of every lane, numbered by instance, and how many words there are.

    Lanes of one word agree in instance, key and walker / 32; lanes that agree in the walker, too, go
    into different words.
    """
    columns = np.stack(
        [
            lanes.instance,
            lanes.key[:, 0].astype(np.int64),
            lanes.key[:, 1].astype(np.int64),
            lanes.walker.astype(np.int64),
        ]
    )
    order = np.lexsort(columns[::-1])
    same = (columns[:, order[1:]] == columns[:, order[:-1]]).all(axis=0)
    repeat = np.zeros(len(lanes), dtype=np.int64)
    starts = np.flatnonzero(np.append(True, ~same))
    repeat[order] = np.arange(len(lanes)) - np.repeat(starts, np.diff(np.append(starts, len(lanes))))
    columns[3] >>= 5
    _, word = np.unique(np.vstack([columns, repeat]), axis=1, return_inverse=True)
    return word.reshape(-1), int(word.max()) + 1


def width_for(words: int, threads: int, widths: tuple[int, ...]) -> int:
    """Words per tile that take least time: a vector of 8 words takes two thirds of one of 16."""

    def cost(width: int) -> float:
        tiles = -(-words // width)
        return -(-tiles // threads) * (1.0 if width == widths[0] else 2.0 / 3.0)

    return min(widths, key=cost)
