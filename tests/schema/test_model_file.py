"""models.toml: what is read, and that every mistake is answered by place, value and remedy."""

import pytest

from physebm.errors import ModelFileError
from physebm.schema.declarations import ArrayDeclaration
from physebm.schema.expressions import Expression, parse
from physebm.schema.model_file import read_models

BASE = """
[m]
title = "a model"
[m.parameters]
N = 4
P = "N / 2"
[m.units]
s = { prior = "ising", shape = "N", visible = true }
z = { prior = "gaussian", variance = "T", shape = "P" }
[m.arrays]
J = { law = "normal", std = "1 / sqrt(N)", shape = ["N", "N"] }
xi = { law = "rademacher", shape = ["P", "N"] }
[[m.terms]]
couple = ["s", "s"]
J = "J"
[[m.terms]]
couple = ["z", "s"]
J = "xi"
scale = "1 / sqrt(N)"
[[m.terms]]
field = "s"
h = 0.5
[m.small]
N = 6
"""


def read(tmp_path, text=BASE):
    path = tmp_path / "models.toml"
    path.write_text(text)
    return read_models(path)["m"]


def test_a_model_arrives_typed_with_its_defaults(tmp_path):
    model = read(tmp_path)
    s, z = model.units["s"], model.units["z"]
    assert (s.prior, s.visible, s.shape, s.variance) == ("ising", True, (parse("N"),), None)
    assert z.variance.depends_on_temperature and not z.visible
    J, xi = model.arrays["J"], model.arrays["xi"]
    assert J.shape == (parse("N"), parse("N")) and J.mean.constant == 0 and not J.trainable
    assert xi.p.constant == 0.5 and xi.std is None
    assert [term.couple for term in model.terms] == [("s", "s"), ("z", "s"), None]
    assert model.terms[0].coupling.name == "J" and model.terms[0].on is None
    assert model.terms[2].field == "s" and model.terms[2].h.constant == 0.5
    assert model.values() == {"N": 4, "P": 2.0}
    assert model.values(model.small) == {"N": 6, "P": 3.0}
    assert model.directory == str(tmp_path)


def test_every_expression_knows_its_address(tmp_path):
    model = read(tmp_path)
    where = f"{tmp_path / 'models.toml'}: m"
    assert model.terms[1].scale.where == f"{where}.terms[1].scale"
    assert model.arrays["J"].shape[1].where == f"{where}.arrays.J.shape[1]"
    assert model.units["z"].variance.where == f"{where}.units.z.variance"
    assert model.parameters["P"].where == f"{where}.parameters.P"


def test_arrays_may_stand_in_place_and_name_files_or_numbers(tmp_path):
    text = BASE.replace('J = "J"\n', 'J = { file = "J.npz", variable = "J" }\n')
    text = text.replace("h = 0.5", "h = { values = [1, 2.5, -3, 0] }")
    text = text.replace('variance = "T"', "variance = { values = [1.0, 2.0] }")
    model = read(tmp_path, text)
    assert isinstance(model.terms[0].J, ArrayDeclaration) and model.terms[0].J.variable == "J"
    assert model.terms[2].h.values == (1, 2.5, -3, 0)
    assert model.units["z"].variance.values == (1.0, 2.0)


def test_graphs_have_their_options_and_edges_is_a_size(tmp_path):
    text = BASE.replace(
        'J = "J"\n', 'J = "J"\non = { graph = "random-regular", degree = "N - 1" }\n', 1
    ).replace('shape = ["N", "N"]', 'shape = ["edges"]')
    model = read(tmp_path, text)
    assert model.terms[0].on.degree == parse("N - 1")
    assert model.arrays["J"].shape[0].name == "edges"
    lattice = 'J = "J"\non = { lattice = "square", boundary = ["open", "periodic"] }\n'
    on = read(tmp_path, BASE.replace('J = "J"\n', lattice, 1)).terms[0].on
    assert (on.lattice, on.boundary) == ("square", ("open", "periodic"))
    on = (
        read(tmp_path, BASE.replace('J = "J"\n', 'J = "J"\non = { lattice = "chain" }\n', 1))
        .terms[0]
        .on
    )
    assert on.boundary == "periodic"


def test_all_arrays_may_come_from_a_result(tmp_path):
    i, j = BASE.index("[m.arrays]"), BASE.index("[[m.terms]]")
    text = BASE[:i] + '[m.arrays]\nfrom = "results/rbm.nc"\n' + BASE[j:]
    model = read(tmp_path, text)
    trained = model.trained.arrays
    assert (trained.from_result, trained.update, trained.at) == ("results/rbm.nc", "last", None)
    assert model.arrays == {} and model.terms[0].J.name == "J"


MISTAKES = [
    # old, new, path below m, got, a piece of the message
    ('"ising"', '"isng"', ".units.s.prior", "isng", "did you mean ising?"),
    ("visible =", "visble =", ".units.s", "visble", "did you mean visible?"),
    ("visible = true", "visible = 1", ".units.s.visible", 1, "true or false"),
    ("visible = true", "q = 3", ".units.s", "q", "belongs to potts"),
    ('"ising"', '"potts"', ".units.s", None, "`q`"),
    ('variance = "T"', "variance = -1", ".units.z.variance", -1, "above zero"),
    ('variance = "T"', 'variance = "V"', ".units.z.variance", "V", "expected"),
    ('prior = "ising", ', "", ".units.s", None, "`prior`, which is missing"),
    ('"s", "s"', '"s", "hiden"', ".terms[0].couple[1]", "hiden", "units of this model"),
    ('["s", "s"]', '"s"', ".terms[0].couple", "s", "a list"),
    ('["s", "s"]', '["s"]', ".terms[0].couple", ["s"], "a field"),
    ('["s", "s"]', '["s", 1]', ".terms[0].couple[1]", 1, "a string"),
    ('couple = ["s", "s"]\n', "", ".terms[0]", None, "exactly one of: couple, field"),
    ('J = "J"\n', "", ".terms[0]", None, "exactly one of: J, patterns"),
    ('J = "J"\n', 'J = "J"\nh = 1\n', ".terms[0]", "h", "belongs to a field"),
    ('J = "J"\n', 'J = "JJ"\n', ".terms[0].J", "JJ", "expected"),
    ('J = "J"\n', 'J = "2 * J"\n', ".terms[0].J", "2 * J", "`scale`"),
    ('J = "J"\n', 'J = "1 / N"\nscale = 2\n', ".terms[0].scale", "2", "multiplies arrays"),
    ('J = "J"\n', 'patterns = "N"\n', ".terms[0].patterns", "N", "arrays of this model"),
    ('J = "xi"\n', 'patterns = "xi"\n', ".terms[1].couple", ["z", "s"], "write J"),
    ('J = "J"\n', "J = { law = 'normal' }\n", ".terms[0].J", None, "`shape`"),
    ('J = "J"\n', "J = { file = 3 }\n", ".terms[0].J.file", 3, "a string"),
    (
        'J = "J"\n',
        'J = "J"\non = { lattice = "sqare" }\n',
        ".terms[0].on.lattice",
        "sqare",
        "mean square",
    ),
    ('J = "J"\n', 'J = "J"\non = { latice = "square" }\n', ".terms[0].on", "latice", "mean lattice"),
    ('J = "J"\n', 'J = "J"\non = { graph = "erdos-renyi" }\n', ".terms[0].on", None, "`mean_degree`"),
    ("h = 0.5", "h = nan", ".terms[2].h", None, "finite"),
    ("h = 0.5", "h = true", ".terms[2].h", True, "a number"),
    ('law = "normal"', 'law = "norml"', ".arrays.J.law", "norml", "did you mean normal?"),
    ('"1 / sqrt(N)", shape = ["N", "N"]', "1", ".arrays.J", None, "`shape`"),
    ('std = "1 / sqrt(N)", ', "", ".arrays.J", None, "`std`"),
    ('std = "1 / sqrt(N)"', "std = 1, p = 0.5", ".arrays.J", "p", "no option of law normal"),
    ('"rademacher"', '"rademacher", p = 1.5', ".arrays.xi.p", 1.5, "0 to 1"),
    ('law = "rademacher"', "values = [[1, 2], [3]]", ".arrays.xi.values[1]", [3], "one length"),
    ('law = "rademacher"', "values = [[1, inf]]", ".arrays.xi.values[0][1]", None, "finite"),
    ('law = "rademacher"', 'law = "rademacher", file = "x"', ".arrays.xi", "law, file", "exactly one"),
    ('["P", "N"]', '["P", "M"]', ".arrays.xi.shape[1]", "M", "expected"),
    ('["P", "N"]', '["P", "beta"]', ".arrays.xi.shape[1]", "beta", "cannot depend on the temperature"),
    ("xi = {", "N = {", ".arrays.N", "N", "already"),
    ("xi = {", "beta = {", ".arrays.beta", "beta", "reserved"),
    ("N = 4", "N = inf", ".parameters.N", None, "finite"),
    ("N = 4", 'N = "2 * P"', ".parameters.N", "2 * P", "N -> P -> N"),
    ("N = 4", "N = [1]", ".parameters.N", [1], "a number"),
    ("N = 6", "M = 6", ".small", "M", "expected"),
    ("[m.units]", "[m.unit]", "", "unit", "did you mean units?"),
    ('title = "a model"', "title = 3", ".title", 3, "a string"),
]


@pytest.mark.parametrize(("old", "new", "path", "got", "says"), MISTAKES)
def test_a_mistake_is_answered_by_file_path_value_and_remedy(tmp_path, old, new, path, got, says):
    assert old in BASE
    with pytest.raises(ModelFileError) as caught:
        read(tmp_path, BASE.replace(old, new, 1))
    assert caught.value.where == f"{tmp_path / 'models.toml'}: m{path}"
    if got is not None:
        assert caught.value.got == got
    assert says in str(caught.value)
    assert caught.value.exit_status == 2 and caught.value.__cause__ is None


def test_a_syntax_error_gives_line_and_column(tmp_path):
    with pytest.raises(ModelFileError, match=r"line 2, column") as caught:
        read(tmp_path, BASE.replace("[m]", "[m", 1))
    assert caught.value.where == str(tmp_path / "models.toml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="no such file"):
        read_models(tmp_path / "nothing.toml")
    with pytest.raises(ModelFileError, match="directory"):
        read_models(tmp_path)


def test_an_override_must_be_a_parameter(tmp_path):
    model = read(tmp_path)
    assert model.values({"N": parse(10)}) == {"N": 10, "P": 5.0}
    with pytest.raises(ModelFileError, match="parameters of m"):
        model.values({"M": parse(10, "study: set.M")})


def test_quantities_are_expressions_whatever_their_toml_type(tmp_path):
    model = read(tmp_path, BASE.replace('std = "1 / sqrt(N)"', "std = 2"))
    assert isinstance(model.arrays["J"].std, Expression)
    assert model.arrays["J"].std.constant == 2
