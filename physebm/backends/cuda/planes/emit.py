"""The text of the kernels of a bit-sliced plan: what the plan says as constants, then the library.

Two modules, which differ in where the lattice of a word of 32 lanes stands while it is swept:

``whole``  in the shared memory of one block of threads, which goes through all sweeps of a call in one
           launch (kernel ``sweep``); neighbours are numbers of 16 bits
``parts``  in device memory; many blocks share the units of a colour class, and a launch is one class of
           one sweep (kernels ``begin``, ``colour``, ``sum``, ``energies``), as nothing but the end of a
           launch lets blocks wait for each other

Instructions for one unit in 32 lanes, counted in what nvcc 13.0 makes of ``whole`` for sm_90 (heat
bath, two units of a thread at a time, the twelve digits that every unit draws), and registers:

======================  ======  ==========  ==================  ===========  =========
graph                   issued  logic pipe  16-byte reads of M  other reads  registers
======================  ======  ==========  ==================  ===========  =========
square, unit couplings  241     155         7.5                 11           60
cubic, signs            313     204         10.5                16.5         63
======================  ======  ==========  ==================  ===========  =========

Sixty of the logic pipe's are three Philox blocks; the key schedule is the warp's and costs nothing. A
lane is open after twelve digits once in 4096, so 39 % of the warps (2 x 1024 lanes) draw four more, at
45 and 53 for a unit: 173 and 225 in all. Derived, not measured: at 64 threads' logic a cycle, 132
multiprocessors and 1.755 GHz the ceilings are 2740 (square) and 2110 (cubic) unit updates per ns. Of
lattices of 16^3 a block of 256 threads takes 19 KiB of shared memory, and registers decide: four
blocks, 32 warps of a multiprocessor. One of 32^3 is alone, with 16 warps. In ``parts`` a unit of one
word of a square lattice moves 24 bytes (neighbours 16, planes 8): 5 ps of 4.8 TB/s, 12 ps of logic.

Certain are bits, counts and registers, and that shared memory is no bound: the threads of a warp read
the same 16 bytes of M at once, which at four cycles each is half the time of the logic. How busy few
warps keep the logic pipe, and which of the two modules is faster where both can be had (`shape`), only
a card can tell.
"""

from __future__ import annotations

from physebm.backends.cuda.emit import emit_head, emit_struct, library
from physebm.backends.cuda.planes.parameters import FIELDS
from physebm.backends.cuda.writer import CWriter
from physebm.backends.planes.sliced import Sliced
from physebm.backends.source import Source
from physebm.lowering.plan import SweepPlan

BEFORE, AFTER = ("types", "philox"), ("bits", "planes")


def emit_planes(plan: SweepPlan, degree: int, regular: bool, whole: bool) -> Source:
    """The source for graphs of at most `degree` neighbours, of as many everywhere if `regular`."""
    text = module_text(plan, degree, regular, whole)
    return Source("planes_cuda", f"{library(*BEFORE)}\n{text}")


def module_text(plan: SweepPlan, degree: int, regular: bool, whole: bool) -> str:
    """The source without what other modules have as well."""
    parts = (*AFTER, "planes_whole" if whole else "planes_parts")
    return f"{head_text(plan, degree, regular, whole)}\n{library(*parts)}"


def head_text(plan: SweepPlan, degree: int, regular: bool, whole: bool) -> str:
    """The generated part of a module: constants of the plan, and the struct of parameters."""
    told, out = Sliced.of(plan), CWriter()
    emit_head(out, plan, "Bit-sliced sweeps")
    out(f"typedef {'u16' if whole else 'i32'} Index;  // of a unit, or the number of units: none")
    constants = (
        ("i32", "DEGREE", degree, "neighbours of a unit at most"),
        ("bool", "REGULAR", regular, "one row of thresholds has the count 0 of every unit"),
        ("bool", "ISING", told.ising, "states -1 and 1, else 0 and 1"),
        ("bool", "SIGNED", told.signed, "couplings of both signs"),
        ("bool", "METROPOLIS", told.metropolis, "thresholds depend on the present state"),
        ("i32", "TERMS", len(plan.terms), "of the energy"),
        ("i32", "PAIR_TERM", told.pair, "the couplings"),
        ("i32", "FIELD_TERM", -1 if told.constant is None else told.constant, "a uniform field, or -1"),
    )
    for kind, name, value, meaning in constants:
        out(f"constexpr {kind} {name} = {str(value).lower()};  // {meaning}")
    out(f"constexpr u32 LAST = 0x{told.last:08x};  // counter word c3 of the first draw")
    out()
    emit_struct(out, FIELDS)
    return out.text()
