"""The text of a cluster move: bonds decided and joined by all threads, then every cluster its state."""

from __future__ import annotations

from physebm.backends.cuda.fields import is_potts
from physebm.backends.cuda.writer import CWriter
from physebm.lowering.plan import ClusterMove, SweepPlan
from physebm.rng.streams import Purpose, last_word


def emit_cluster(out: CWriter, plan: SweepPlan, m: int, move: ClusterMove) -> None:
    """Swendsen-Wang: every cluster a fresh state. Wolff: the cluster of one seed another state.

    Both decide every bond, whose words are addressed by the bond and not by the order of growth; so the
    cluster of a seed is the one that growth from the seed would find.
    """
    g = move.group
    x, n = f"x{g}", f"p.size{g}"
    bonds, spins, seed = (
        f"0x{last_word(purpose, m):08x}u"
        for purpose in (Purpose.CLUSTER_BONDS, Purpose.CLUSTER_SPINS, Purpose.CLUSTER_SEED)
    )
    with out.each("i", n):
        out(f"parent{m}[i] = i;")
    out("__syncthreads();")
    with out.each("b", f"16 * ((p.bonds{m} + 63) / 64)"):
        out(f"const Words words = words_of(b, t, {bonds}, stream);")
        with out.braces("for (i32 w = 0; w < 4; w++)"):
            out("const i64 e = position_of(b, w);")
            out(f"if (e >= p.bonds{m}) break;")
            out(f"const i32 i = edges{m}[2 * e], j = edges{m}[2 * e + 1];")
            out(f"const bool active = (i64)words.word[w] < bond{m}[kind{m}[e]];")
            out(f"if (active && {x}[i] == {x}[j]) join(parent{m}, i, j);")
    out("__syncthreads();")
    if move.kind == "swendsen-wang":
        _emit_fresh_states(out, plan, m, g, spins)
    else:
        _emit_seeded(out, plan, m, g, spins, seed)
    out("__syncthreads();")


def _emit_fresh_states(out: CWriter, plan: SweepPlan, m: int, g: int, spins: str) -> None:
    with out.each("i", f"p.size{g}"):
        out(f"const u32 word = word_at(root_of(parent{m}, i), t, {spins}, stream);")
        q = plan.groups[g].prior.q
        fresh = f"below(word, {q})" if is_potts(plan, g) else "word >> 31 ? -1 : 1"
        out(f"x{g}[i] = {fresh};")


def _emit_seeded(out: CWriter, plan: SweepPlan, m: int, g: int, spins: str, seed: str) -> None:
    out(f"const i32 seed{m} = below(word_at(0, t, {seed}, stream), p.size{g});")
    out(f"const i32 chosen{m} = root_of(parent{m}, seed{m});")
    with out.each("i", f"p.size{g}"):
        out(f"if (root_of(parent{m}, i) != chosen{m}) continue;")
        if is_potts(plan, g):
            q = plan.groups[g].prior.q
            out(f"const u32 word = word_at(chosen{m}, t, {spins}, stream);")
            out(f"x{g}[i] = (x{g}[i] + 1 + below(word, {q - 1})) % {q};")
        else:
            out(f"x{g}[i] = -x{g}[i];")
