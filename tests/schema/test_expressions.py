"""Expressions: the arithmetic is right, nothing else is possible, and derivatives are exact."""

import math
import pickle
import random
import time

import pytest

from physebm.errors import ModelFileError, StudyFileError
from physebm.schema.expressions import parse, resolve

ENV = {"N": 12.0, "alpha": 0.3, "x": -1.7}


def table(**texts):
    return {name: parse(text, f"models.toml: m.parameters.{name}") for name, text in texts.items()}


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("1 / sqrt(N)", 1 / math.sqrt(12)),
        ("round(alpha * N)", 4),
        ("-2 ** 2", -4),
        ("2 ** 3 ** 2", 512),
        ("2 - 3 - 4", -5),
        ("2 ** -1", 0.5),
        ("((((((((((((2))))))))))))", 2),
        ("min(N, 3, x) + max(1, 2)", 0.3),
        ("ceil(0.2) - floor(-0.2)", 2),
        ("log(exp(2))", 2),
        ("pi * +x", -1.7 * math.pi),
        ("round(2.5)", 2),
        (7, 7),
        (-0.5, -0.5),
    ],
)
def test_arithmetic_has_the_precedence_of_mathematics(text, exact):
    assert parse(text).value(ENV) == pytest.approx(exact, rel=1e-14)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__",
        "[1, 2]",
        "N if N else 2",
        "N and 2",
        "lambda: 1",
        "N // 2",
        "N % 2",
        "N @ 2",
        "N < 2",
        "'a'",
        "1j",
        "True",
        "f(2)",
        "sqrt(N, 2)",
        "min(N)",
        "min(*N)",
        "sqrt(x=2)",
        "(N := 2)",
        "N.real",
        "N[0]",
        "",
        "   ",
        "1 +",
        "1; 2",
        "α",
        "1" * 401,
        "-" * 200 + "1",
        "+".join("1" * 100),
        "1e400",
    ],
)
def test_anything_outside_the_grammar_is_refused(text):
    with pytest.raises(ModelFileError, match=r"m\.toml: a\.b"):
        parse(text, "m.toml: a.b")


@pytest.mark.parametrize("value", [True, False, None, [1], math.inf, math.nan, 10**400])
def test_a_toml_value_that_is_no_finite_number_is_refused(value):
    with pytest.raises(ModelFileError):
        parse(value, "m.toml: a")


@pytest.mark.parametrize(
    "text",
    (
        "10**10**10; 9**9**9**9; exp(1000); 1 / 0; 0 ** -1; sqrt(-1); (-2) ** 0.5; log(0); "
        "1e200 * 1e200; -1e299 * 20; 1 / (pi - pi); 1e299 * 10"
    ).split("; "),
)
def test_bombs_and_undefined_values_are_refused_at_once(text):
    start = time.perf_counter()
    with pytest.raises(ModelFileError) as caught:
        parse(text, "m.toml: a").value({})
    assert time.perf_counter() - start < 0.5
    assert caught.value.got == text


def test_an_expression_is_frozen_hashable_and_picklable_and_equal_by_its_tree():
    one, other = parse("alpha*N", "here"), parse("alpha * N", "there")
    assert one == other and hash(one) == hash(other) and {one: 1}[other] == 1
    assert one != parse("N * alpha")
    assert pickle.loads(pickle.dumps(one)) == one
    with pytest.raises(AttributeError):
        one.text = "2"


def test_names_exclude_constants_and_reserved_words():
    both = parse("pi * alpha * N + N / T")
    assert both.names == ("alpha", "N")
    assert both.depends_on_temperature and not parse("alpha").depends_on_temperature
    assert parse("xi").name == "xi" and parse("2 * xi").name is None
    assert parse(-3).constant == -3 and parse("-3").constant == -3 and parse("N").constant is None


@pytest.mark.parametrize(
    "text",
    (
        "T; beta; 1 / sqrt(N * T); T ** 2 - 3 * beta ** 3; exp(-2 * beta); log(1 + T); "
        "1 / (1 + exp(-2 * beta)); 2 ** T; T ** beta; sqrt(beta) / alpha; -T * beta; "
        "(beta - 2) ** 2; T ** 0; round(N) * T; (T + beta) / (T - x); pi / beta"
    ).split("; "),
)
@pytest.mark.parametrize("beta", [0.37, 2.0])
def test_jets_agree_with_richardson_extrapolated_differences(text, beta):
    expression = parse(text)

    def f(b):
        return expression.value({**ENV, "beta": b, "T": 1 / b})

    def differences(step):
        first = (f(beta + step) - f(beta - step)) / (2 * step)
        return first, (f(beta + step) - 2 * f(beta) + f(beta - step)) / step**2

    coarse, fine = differences(2e-3), differences(1e-3)
    first, second = ((4 * b - a) / 3 for a, b in zip(coarse, fine))
    value, d1, d2 = expression.jet(ENV, beta)
    assert value == pytest.approx(f(beta), rel=1e-14)
    assert d1 == pytest.approx(first, rel=1e-7, abs=1e-8)
    assert d2 == pytest.approx(second, rel=1e-6, abs=1e-6)


def test_jets_of_polynomials_and_powers_of_temperature_are_exact():
    assert parse("beta ** 3").jet({}, 2.0) == (8.0, 12.0, 12.0)
    assert parse("T").jet({}, 2.0) == (0.5, -0.25, 0.25)
    assert parse("3 * beta").jet({}, 2.0) == (6.0, 3.0, 0.0)
    assert parse("(beta - 2) ** 2").jet({}, 2.0) == (0.0, 0.0, 2.0)
    assert parse("sqrt(16) + N").jet({"N": 1.0}, 2.0) == (5.0, 0.0, 0.0)


@pytest.mark.parametrize("function", ["round", "ceil", "floor"])
def test_rounding_of_the_temperature_has_no_derivative(function):
    with pytest.raises(ModelFileError, match="no derivative"):
        parse(f"{function}(T)").jet({}, 1.3)
    with pytest.raises(ModelFileError, match="no derivative"):
        parse("max(T, 1)").jet({}, 1.3)


def test_a_derivative_that_does_not_exist_is_refused():
    with pytest.raises(ModelFileError):
        parse("sqrt(beta - 2)").jet({}, 2.0)


def test_sizes_are_whole_and_not_negative():
    assert parse("0.1 * 30").integer({}) == 3
    assert parse("L").integer({"L": 0}) == 0
    for text in ("2.5", "-1", "1 / 3"):
        with pytest.raises(ModelFileError, match="whole number"):
            parse(text).integer({})


def test_parameters_resolve_in_any_order_and_keep_whole_numbers():
    values = resolve(table(P="round(alpha * N)", alpha=0.05, N=1000, scale="1 / sqrt(N)"))
    assert values == {"P": 50, "alpha": 0.05, "N": 1000, "scale": 1 / math.sqrt(1000)}
    assert type(values["P"]) is int and type(values["N"]) is int and type(values["alpha"]) is float
    assert list(values) == ["P", "alpha", "N", "scale"]


def test_random_chains_of_references_resolve_to_direct_evaluation():
    draw = random.Random(5)
    texts, exact = {}, {}
    for i in range(30):
        if i < 3:
            exact[f"p{i}"] = draw.uniform(1, 2)
            texts[f"p{i}"] = exact[f"p{i}"]
            continue
        a, b = draw.randrange(i), draw.randrange(i)
        texts[f"p{i}"] = f"sqrt(p{a} * p{b}) + p{a} / 4"
        exact[f"p{i}"] = math.sqrt(exact[f"p{a}"] * exact[f"p{b}"]) + exact[f"p{a}"] / 4
    names = list(texts)
    draw.shuffle(names)
    values = resolve(table(**{name: texts[name] for name in names}))
    assert values == {name: pytest.approx(exact[name], rel=1e-14) for name in names}


def test_a_cycle_is_named():
    with pytest.raises(ModelFileError, match="b -> c -> b") as caught:
        resolve(table(a="b + 1", b="2 * c", c="b"))
    assert caught.value.where == "models.toml: m.parameters.b"
    with pytest.raises(ModelFileError, match="a -> a"):
        resolve(table(a="a"))


def test_an_unknown_name_gives_the_nearest():
    with pytest.raises(ModelFileError, match=r"did you mean alpha\?") as caught:
        resolve(table(alpha=0.1, P="alhpa * 10"))
    assert caught.value.where == "models.toml: m.parameters.P" and caught.value.got == "alhpa"


def test_parameters_may_not_depend_on_the_temperature():
    for name in ("T", "beta"):
        with pytest.raises(ModelFileError, match="prior parameters"):
            resolve(table(J=f"2 * {name}"))


def test_an_expression_raises_the_error_of_its_own_file():
    with pytest.raises(StudyFileError, match=r"s\.toml: set\.N"):
        parse("1 / 0", "s.toml: set.N", StudyFileError).value({})
