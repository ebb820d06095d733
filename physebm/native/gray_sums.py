"""log of a sum over all states of a few units, the weight of each being a product of many factors.

    Z = sum_F exp(sum_u h_u(F_u) + sum_{u<v} M_uv(F_u, F_v)) prod_i sum_k exp(b_ik + sum_u B_u,ik(F_u)),

F the enumerated units with any numbers of states, i the units that are summed out (k = 0 has the weight
1, so that a two-state unit has one column). No state costs an exponential per factor: the *low* units
make a block of at most 2^LOW states whose part of every factor is a table, the *high* units are fixed
in a block, and

    factor_i(low, high) = a_i(high) + sum_k c_ik(high) T_ik(low),      a, c, T <= 1, the largest being 1

is one multiplication and one addition per state. Factors are multiplied up; after as many as could
leave the range of doubles the exponents are taken out. Without factors a block is

    sum_low w(low) prod_u exp(f_u(low_u)),

w the weights of the low units alone, f the fields of the high ones, and is summed unit by unit: two
multiplications per state and no exponential.

High units count like an odometer with a sum of fields per digit, so that one step costs about two
additions per column and nothing accumulates rounding errors. The blocks are cut into fixed slices that
threads share: the same bits on any number of threads. Memory: tables of one block, and of each slice
the fields of one state.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from physebm.native.kept import kept_njit

# log2 of the states of a block: without factors, and with them (their table stays in the cache).
LOW = 12
LOW_FACTORS = 8
SLICES = 32
# A block's sum relative to its bound, below which the sum is taken in logarithms.
SMALLEST = 1e-200
# Nats over which a product of factors may range between two extractions of its exponents.
RANGE = 600.0


@dataclass(frozen=True)
class StateSum:
    """The arrays of the module's formula.

    Attributes
    ----------
    states
        ``[unit]`` numbers of states of the enumerated units; the sum runs over their product.
    h, M
        Fields ``[column]`` and couplings ``[column, column]``, a column being a state of a unit, units
        in order; symmetric, 0 between states of one unit.
    b, B
        Fields ``[factor column]`` and couplings ``[column, factor column]`` of the factors.
    widths
        ``[factor]`` numbers of columns of the factors: their states less one.
    constant
        Is added to the result.
    """

    states: np.ndarray
    h: np.ndarray
    M: np.ndarray
    b: np.ndarray
    B: np.ndarray
    widths: np.ndarray
    constant: float = 0.0


def log_sum(given: StateSum) -> float:
    """``log Z`` of the module's formula, float64.

    Couplings of a factor that exceed `RANGE` nats make blocks smaller, hence slower.
    """
    states = np.asarray(given.states, dtype=np.int64)
    factors = len(given.widths)
    low = _low_units(states, LOW_FACTORS if factors else LOW)
    while True:
        tables = _tables(given, states[:low])
        if low == 0 or tables.ranges.max(initial=0.0) <= RANGE:
            break
        low -= 1
    high = states[low:]
    blocks = int(np.prod(high.astype(object))) if len(high) else 1
    columns = np.concatenate([[0], np.cumsum(states)])
    field = np.concatenate([given.h, given.b]).astype(np.float64)
    rows = np.ascontiguousarray(np.concatenate([given.M, given.B], axis=1), dtype=np.float64)
    cuts = [blocks * i // SLICES for i in range(SLICES + 1)]
    starts = np.concatenate([[0], np.cumsum(given.widths)]).astype(np.int64)
    groups = _groups(tables.ranges, given.widths)

    def part(i: int):
        return _slice(
            cuts[i], cuts[i + 1], states, columns, low, field, rows,
            tables.weight, tables.factor, tables.top, starts, groups,
        )  # fmt: skip

    threads = int(os.environ.get("NUMBA_NUM_THREADS") or os.cpu_count() or 1)
    with ThreadPoolExecutor(min(threads, SLICES)) as pool:
        parts = np.array(list(pool.map(part, [i for i in range(SLICES) if cuts[i] < cuts[i + 1]])))
    shift = parts[:, 0].max()
    total = (parts[:, 1] * np.exp(parts[:, 0] - shift)).sum()
    return float(given.constant + shift + np.log(total))


@dataclass(frozen=True)
class _Tables:
    """Log weights ``[state]``, T ``[column, state]``, logs of its largest, ranges of factors."""

    weight: np.ndarray
    factor: np.ndarray
    top: np.ndarray
    ranges: np.ndarray


def _tables(given: StateSum, states: np.ndarray) -> _Tables:
    count, width = int(np.prod(states)), int(states.sum())
    chosen = np.zeros((count, width))
    rest, start = np.arange(count), 0
    for n in states:
        rest, digit = np.divmod(rest, n)
        chosen[np.arange(count), start + digit] = 1.0
        start += n
    M, B = given.M[:width, :width], given.B[:width]
    weight = 0.5 * ((chosen @ M) * chosen).sum(axis=1)
    theta = (chosen @ B).T
    top = theta.max(axis=1)
    spread = top - theta.min(axis=1)
    widths = np.asarray(given.widths, dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
    ranges = np.maximum.reduceat(spread, starts) if len(widths) else np.zeros(0)
    factor = np.ascontiguousarray(np.exp(theta - top[:, None]))
    return _Tables(weight, factor, top, ranges)


def _low_units(states: np.ndarray, bits: int) -> int:
    size = np.cumsum(np.log2(states))
    return int((size <= bits + 1e-9).sum())


def _groups(ranges: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Where to extract exponents: factors ``groups[g] .. groups[g + 1]`` range over at most RANGE."""
    cuts, held = [0], 0.0
    for i, (span, width) in enumerate(zip(ranges, widths, strict=True)):
        span = max(float(span), np.log(width + 1.0))
        if held + span > RANGE:
            cuts.append(i)
            held = 0.0
        held += span
    return np.array([*cuts, len(widths)], dtype=np.int64)


@kept_njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _slice(
    first, last, states, columns, low, field, rows, weight, factor, top, starts, groups
):  # fmt: skip
    """Largest log weight and the sum relative to it, over the blocks first .. last - 1."""
    high, width = len(states) - low, len(field)
    base, size, factors = columns[-1], len(weight), len(starts) - 1
    fields = np.empty((high + 1, width))
    fields[high] = field
    energy = np.zeros(high + 1)
    digit = np.zeros(high, np.int64)
    rest = first
    for j in range(high):
        digit[j] = rest % states[low + j]
        rest //= states[low + j]
    changed = high - 1
    u, v = np.empty(factors + 1), np.empty(len(top) + 1)
    P, part = np.empty(size), np.empty(size)
    bits = P.view(np.int64)
    exponent = np.zeros(size, np.int64)
    lw = np.empty(size)
    shift, total = -np.inf, 0.0
    above = weight.max()
    alone = np.exp(weight - above)
    for _ in range(first, last):
        for j in range(changed, -1, -1):
            at = columns[low + j] + digit[j]
            energy[j] = energy[j + 1] + fields[j + 1, at]
            for x in range(width):
                fields[j, x] = fields[j + 1, x] + rows[at, x]
        if factors == 0:
            log_block = above + energy[0] + _contracted(alone, P, fields[0], states[:low], columns)
            if log_block > -np.inf:
                if log_block > shift:
                    total *= np.exp(shift - log_block)
                    shift = log_block
                total += np.exp(log_block - shift)
                changed = _advance(digit, states[low:])
                continue
        lw[0] = energy[0]
        filled = 1
        for unit in range(low):
            for a in range(states[unit] - 1, -1, -1):
                f = fields[0, columns[unit] + a]
                for x in range(filled):
                    lw[a * filled + x] = lw[x] + f
            filled *= states[unit]
        for x in range(size):
            lw[x] += weight[x]
        if factors:
            _multiply(fields[0, base:], top, starts, groups, factor, u, v, P, part, bits, exponent, lw)
        high_w = lw[0]
        for x in range(size):
            high_w = max(high_w, lw[x])
        if high_w > shift:
            total *= np.exp(shift - high_w)
            shift = high_w
        block = 0.0
        for x in range(size):
            block += np.exp(lw[x] - shift)
        total += block
        changed = _advance(digit, states[low:])
    return shift, total


@kept_njit(nogil=True)
def _advance(digit, states):
    """Count one further; the highest digit that changed."""
    for j in range(len(digit)):
        digit[j] += 1
        if digit[j] < states[j]:
            return j
        digit[j] = 0
    return len(digit) - 1


@kept_njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _contracted(alone, held, field, states, columns):
    """``log sum_x alone(x) prod_u exp(field_u(x_u))``; -inf where doubles do not suffice."""
    size, shift = len(alone), 0.0
    for unit in range(len(states) - 1, -1, -1):
        q, first = states[unit], columns[unit]
        top = field[first : first + q].max()
        shift += top
        size //= q
        source = alone if unit == len(states) - 1 else held
        e0, e1 = np.exp(field[first] - top), np.exp(field[first + 1] - top)
        for x in range(size):
            held[x] = e0 * source[x] + e1 * source[size + x]
        for a in range(2, q):
            e = np.exp(field[first + a] - top)
            for x in range(size):
                held[x] += e * source[a * size + x]
    total = held[0] if len(states) else alone[0]
    return shift + np.log(total) if total > SMALLEST else -np.inf


@kept_njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _multiply(theta, top, starts, groups, factor, u, v, P, part, bits, exponent, lw):
    """Add the logs of all factors of a block to `lw`."""
    size, shift = len(lw), 0.0
    for i in range(len(starts) - 1):
        largest = 0.0
        for a in range(starts[i], starts[i + 1]):
            largest = max(largest, theta[a] + top[a])
        shift += largest
        u[i] = np.exp(-largest)
        for a in range(starts[i], starts[i + 1]):
            v[a] = np.exp(theta[a] + top[a] - largest)
    for x in range(size):
        P[x] = 1.0
        exponent[x] = 0
    for g in range(len(groups) - 1):
        i = groups[g]
        while i < groups[g + 1]:
            a = starts[i]
            if i + 4 <= groups[g + 1] and starts[i + 4] == a + 4:
                u0, u1, u2, u3 = u[i], u[i + 1], u[i + 2], u[i + 3]
                v0, v1, v2, v3 = v[a], v[a + 1], v[a + 2], v[a + 3]
                T0, T1, T2, T3 = factor[a], factor[a + 1], factor[a + 2], factor[a + 3]
                for x in range(size):
                    one = (u0 + v0 * T0[x]) * (u1 + v1 * T1[x])
                    two = (u2 + v2 * T2[x]) * (u3 + v3 * T3[x])
                    P[x] *= one * two
                i += 4
                continue
            for x in range(size):
                part[x] = u[i] + v[a] * factor[a, x]
            for k in range(a + 1, starts[i + 1]):
                for x in range(size):
                    part[x] += v[k] * factor[k, x]
            for x in range(size):
                P[x] *= part[x]
            i += 1
        for x in range(size):
            e = (bits[x] >> 52) - 1023
            exponent[x] += e
            bits[x] -= e << 52
    for x in range(size):
        lw[x] += shift + np.log(P[x]) + exponent[x] * 0.6931471805599453
