"""Words of LLVM code for vectors of 32-bit planes: load, store, logic, full adders, counts.

A builder of numba intrinsics speaks LLVM's intermediate language: every call adds one instruction and
returns the name of its result. `Words` wraps an LLVM builder for vectors of `width` words, so that the
code of a kernel reads as formulas; LLVM allots registers, folds three-way logic into single
instructions, and splits vectors that are wider than those of the machine.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir

BIT, INT16, INT32, INT64 = (ir.IntType(bits) for bits in (1, 16, 32, 64))
WORD_BYTES = 4


def widths() -> tuple[int, ...]:
    """Words per vector that pay on this machine, widest first.

    AVX-512 has both: where words are few, 8 of them are faster than 16 of which half are empty.
    """
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return (16, 8)
    return (8,) if features.get("avx2") else (4,)


class Words:
    """Instructions on vectors of `width` 32-bit words."""

    def __init__(self, builder: ir.IRBuilder, width: int):
        self.b, self.width = builder, width
        self.kind = ir.VectorType(INT32, width)
        self.pairs = ir.VectorType(INT64, width // 2)
        self.zero = ir.Constant(self.kind, [0] * width)
        self.ones = ir.Constant(self.kind, [0xFFFFFFFF] * width)

    def at(self, address, offset, kind):
        """A pointer to `kind`, `offset` bytes behind an address."""
        offset = INT64(offset) if isinstance(offset, int) else offset
        return self.b.inttoptr(self.b.add(address, offset), kind.as_pointer())

    def load(self, address, offset=0):
        """The vector of words there."""
        loaded = self.b.load(self.at(address, offset, self.kind))
        loaded.align = WORD_BYTES
        return loaded

    def store(self, vector, address, offset=0) -> None:
        """Write a vector of words there."""
        self.b.store(vector, self.at(address, offset, self.kind)).align = WORD_BYTES

    def fixed(self, loaded):
        """Mark a load from memory that nobody writes during a sweep, so that loops read it once."""
        loaded.set_metadata("invariant.load", self.b.module.add_metadata([]))
        return loaded

    def spread(self, number, kind):
        """A vector of one number."""
        empty = ir.Constant(kind, ir.Undefined)
        first = ir.Constant(ir.VectorType(INT32, kind.count), [0] * kind.count)
        one = self.b.insert_element(empty, number, INT32(0))
        return self.b.shuffle_vector(one, empty, first)

    def mask(self, address, offset=0):
        """One bit per word, stored in 16 bits, as words of 32 equal bits."""
        bits = self.b.load(self.at(address, offset, INT16))
        if self.width < 16:
            bits = self.b.trunc(bits, ir.IntType(self.width))
        return self.b.sext(self.b.bitcast(bits, ir.VectorType(BIT, self.width)), self.kind)

    def flip(self, a):
        """Not a."""
        return self.b.xor(a, self.ones)

    def any(self, a):
        """True if a bit is set in any word."""
        bits = ir.IntType(32 * self.width)
        return self.b.icmp_unsigned("!=", self.b.bitcast(a, bits), bits(0))

    def select(self, chosen, rows):
        """The OR over k of ``chosen[k] & rows[k]``."""
        total = None
        for one, row in zip(chosen, rows):
            part = self.b.and_(one, row)
            total = part if total is None else self.b.or_(total, part)
        return total

    def add_bits(self, x, y, z):
        """A full adder: sum and carry of three bits, lane by lane."""
        either = self.b.xor(x, y)
        carry = self.b.or_(self.b.and_(x, y), self.b.and_(z, either))
        return self.b.xor(either, z), carry

    def count(self, planes) -> list:
        """Binary digits, least significant first, of how many planes have the bit set."""
        digits, ranks = [], [list(planes)]
        while ranks:
            rank, carries = ranks.pop(0), []
            while len(rank) > 1:
                x, y = rank.pop(0), rank.pop(0)
                z = rank.pop(0) if rank else self.zero
                total, carry = self.add_bits(x, y, z)
                rank.append(total)
                carries.append(carry)
            digits.append(rank[0])
            if carries:
                ranks.append(carries)
        return digits

    def equal(self, digits, number: int):
        """Where a count, given by its binary digits, is `number`."""
        total = None
        for place, digit in enumerate(digits):
            wanted = digit if number >> place & 1 else self.flip(digit)
            total = wanted if total is None else self.b.and_(total, wanted)
        return total
