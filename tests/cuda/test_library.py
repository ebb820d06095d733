"""Device functions, run on the host, against published answers, scipy and the numpy definitions."""

import numpy as np
import pytest
from host_kernels import elementwise, kernel_of, needs_compiler, run
from scipy.special import erfcx, ndtr, ndtri

from physebm.backends.reference import draw, tail_excess
from physebm.lowering.plan import Rule
from physebm.model.units import Prior, UnitKind
from physebm.rng.philox import philox4x32, uniform, uniform53

pytestmark = needs_compiler

# Random123, kat_vectors: counter, key, answer
KNOWN = (
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
)
PHILOX = kernel_of(
    "const u32 *c = p.a, *k = p.b;\n"
    "const Words words = philox4x32(c[0], c[1], c[2], c[3], k[0], k[1]);\n"
    "EACH(w, 4) p.out[w] = words.word[w];",
    "u32",
    "u32",
)
RNG = np.random.default_rng(1)


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_has_the_published_answers(counter, key, answer):
    out = np.zeros(4, np.uint32)
    words = run(PHILOX, np.array(counter, np.uint32), np.array(key, np.uint32), out=out)
    assert words.tolist() == answer


def test_draw_positions_have_the_words_of_the_definition():
    positions = np.arange(200, dtype=np.uint32)
    got = elementwise(
        "word_at(p.a[i], 7, 0x01020003u, Stream{5, 11, 12})",
        positions,
        a="u32",
        out="u32",
        dtype=np.uint32,
    )
    four = philox4x32(16 * (positions >> 6) + (positions & 15), 5, 7, 0x01020003, 11, 12)
    assert np.array_equal(got, np.choose((positions >> 4) & 3, four))


def test_the_positions_of_a_block_of_words_cover_every_position_once():
    blocks = np.repeat(np.arange(48, dtype=np.uint32), 4)
    w = np.tile(np.arange(4, dtype=np.uint32), 48)
    got = elementwise("position_of(p.a[i], p.b[i])", blocks, w, a="u32", out="i32", dtype=np.int32)
    assert sorted(got) == list(range(192))


def test_uniforms_are_those_of_the_definition():
    high, low = RNG.integers(0, 2**32, (2, 1000), dtype=np.uint32)
    high[:2] = 0, 0xFFFFFFFF
    assert np.array_equal(elementwise("uniform(p.a[i])", high, a="u32"), uniform(high))
    assert np.array_equal(
        elementwise("uniform53(p.a[i], p.b[i])", high, low, a="u32"), uniform53(high, low)
    )


def test_the_inverse_normal_agrees_with_scipy():
    p = np.concatenate(
        [RNG.random(2000), 10.0 ** -np.arange(1, 300, 7.0), 1 - 10.0 ** -np.arange(1, 16)]
    )
    got = elementwise("ndtri(p.a[i])", p)
    # of probabilities near 1 the quantile is only as good as the probability itself
    np.testing.assert_allclose(got, ndtri(p), rtol=1e-13, atol=1e-15)


def test_erfcx_agrees_with_scipy():
    x = np.concatenate([np.linspace(0, 8, 2001), np.geomspace(8, 1e6, 100)])
    np.testing.assert_allclose(elementwise("erfcx_positive(p.a[i])", x), erfcx(x), rtol=1e-13)


def test_the_normal_tail_is_inverted():
    """``Q(edge + e) = u Q(edge)``: against the reference, and put back into Q."""
    edge, u = np.meshgrid(np.linspace(-6, 30, 145), np.array([1e-12, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9]))
    got = elementwise("tail_excess(p.a[i], p.b[i])", edge, u)
    np.testing.assert_allclose(got, tail_excess(edge, u), rtol=1e-11, atol=1e-13)
    # e is a difference of numbers of order one: an error of 1e-15 in it is one of edge * 1e-15 in Q
    np.testing.assert_allclose(ndtr(-(edge + got)), u * ndtr(-edge), rtol=1e-12)


@pytest.mark.parametrize("rule", [Rule.HEAT_BATH, Rule.METROPOLIS, Rule.ZERO_TEMPERATURE])
def test_two_state_decisions_are_those_of_the_definition(rule):
    gap = np.concatenate([RNG.normal(0, 3, 4000), [0.0, 0.0, 800.0, -800.0]])
    word = RNG.integers(0, 2**32, gap.size, dtype=np.uint32)
    old = RNG.integers(0, 2, gap.size)
    call = {
        Rule.HEAT_BATH: "heat_bath_up(p.a[i], (u32)p.b[i])",
        Rule.METROPOLIS: "metropolis_up(p.a[i], p.c[i] > 0, (u32)p.b[i])",
        Rule.ZERO_TEMPERATURE: "downhill_up(p.a[i], p.c[i] > 0)",
    }[rule]
    got = elementwise(call, gap, word.astype(float), old.astype(float), out="i32", dtype=np.int32)
    theta = gap[:, None]
    expected = draw(Prior(UnitKind.BERNOULLI), rule, theta, None, None, old, [word])
    assert np.array_equal(got, expected)


def test_words_next_to_the_threshold_are_decided_like_the_definition():
    """Floats decide what is clear, and only that."""
    gap = RNG.uniform(-22, 22, 20_000)
    threshold = 2.0**32 / (1.0 + np.exp(-gap))
    offset = RNG.choice([-1, 1], gap.size) * 10.0 ** RNG.uniform(0, 8, gap.size)
    word = np.clip(np.round(threshold + offset), 0, 2.0**32 - 1).astype(np.uint32)
    call = "heat_bath_up(p.a[i], (u32)p.b[i])"
    got = elementwise(call, gap, word.astype(float), out="i32", dtype=np.int32)
    assert np.array_equal(got, uniform(word) * (1.0 + np.exp(-gap)) < 1.0)


POTTS = (
    "EACH(i, p.n) {\n"
    "    double theta[7];\n"
    "    for (i32 a = 0; a < 7; a++) theta[a] = p.a[7 * i + a];\n"
    "    const i32 old = (i32)p.c[i];\n"
    "    const u32 word = (u32)p.b[i], proposal = (u32)p.b[p.n + i];\n"
    "    p.out[i] = CALL;\n"
    "}"
)


@pytest.mark.parametrize("rule", [Rule.HEAT_BATH, Rule.METROPOLIS, Rule.ZERO_TEMPERATURE])
def test_potts_decisions_are_those_of_the_definition(rule):
    n = 3000
    theta = RNG.normal(0, 2, (n, 7))
    theta[::5] = np.round(theta[::5])  # ties
    words = RNG.integers(0, 2**32, (2, n), dtype=np.uint32)
    old = RNG.integers(0, 7, n)
    call = {
        Rule.HEAT_BATH: "heat_bath_potts(theta, 7, word)",
        Rule.METROPOLIS: "metropolis_potts(theta, 7, old, word, proposal)",
        Rule.ZERO_TEMPERATURE: "downhill_potts(theta, 7, old)",
    }[rule]
    source = kernel_of(POTTS.replace("CALL", call), out="i32")
    got = run(source, theta, words.astype(float), old.astype(float), out=np.empty(n, np.int32))
    expected = draw(Prior(UnitKind.POTTS, 7), rule, theta, None, None, old, list(words))
    assert np.array_equal(got, expected)


def test_a_sum_over_a_block_is_exact_for_integers_and_the_same_in_any_order():
    values = RNG.normal(size=64)
    source = kernel_of(
        "__shared__ double room[1024];\np.out[threadIdx.x] = block_sum(p.a[threadIdx.x], room);"
    )
    sums = [run(source, values, out=np.empty(64), threads=64, seed=seed) for seed in (0, 1, 2)]
    assert np.array_equal(sums[0], sums[1]) and np.array_equal(sums[1], sums[2])
    np.testing.assert_allclose(sums[0], values.sum(), rtol=1e-14)
