"""Text tables: separators, headers, columns, and what can be wrong on a line."""

import numpy as np
import pytest

from physebm.data.read import read_data
from physebm.errors import StudyFileError


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "t.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def refused(path, *parts, **options):
    with pytest.raises(StudyFileError) as caught:
        read_data(path, where="s.toml: train.data", **options)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["1,2,3\n4,5,6\n", "1, 2, 3\r\n4, 5, 6", "1\t2\t3\n4\t5\t6\n", "1 2  3\n 4 5 6 \n", "1 2 3\r4 5 6"],
)
def test_separators_are_found(table, text):
    assert read_data(table(text)).values.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_separator_can_be_given(table):
    assert read_data(table("1;2\n3;4\n"), delimiter=";").values.tolist() == [[1, 2], [3, 4]]
    assert read_data(table("1  2\n3 4\n"), delimiter=" ").values.tolist() == [[1, 2], [3, 4]]
    for wrong in (";;", "", 3, "\n"):
        refused(table("1;2"), "train.data.delimiter", "one character", delimiter=wrong)


def test_comments_blank_lines_and_byte_order_marks(table):
    text = b"\xef\xbb\xbf# neurons\n\n1 2\n   \n#\n3 4\n"
    assert read_data(table(text)).values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("0 1\n1 0", np.int8),
        ("-1 1\n1 -1", np.int8),
        ("0 255", np.uint8),
        ("0 256", np.int16),
        ("0 70000", np.int32),
        ("0 3000000000", np.int64),
        ("0 1e300", np.float64),
        ("0.5 1", np.float64),
        ("1.0 2e0", np.int8),
    ],
)
def test_whole_numbers_are_kept_small(table, text, kind):
    data = read_data(table(text))
    assert data.values.dtype == kind
    assert data.values.tolist() == [[float(f) for f in line.split()] for line in text.split("\n")]


def test_a_long_table_is_one_array(table):
    rows = np.arange(20000).reshape(10000, 2) % 200
    text = "\n".join(f"{a},{b}" for a, b in rows)
    data = read_data(table(text))
    assert data.values.dtype == np.uint8 and (data.values == rows).all()
    assert read_data(table(text + "\n0.5,0")).values[-2:].tolist() == [[198.0, 199.0], [0.5, 0.0]]


def test_headers_are_found(table):
    data = read_data(table('a,b,"c, d"\n1,2,3\n'))
    assert data.values.tolist() == [[1, 2, 3]] and data.attrs["columns"] == "a, b, c, d"
    assert read_data(table("x y\n1 2\n")).values.tolist() == [[1, 2]]


def test_a_doubtful_first_line_has_to_be_declared(table):
    text = "2,4,setosa,virginica\n5.1,3.5,1.4,0\n"
    refused(table(text), "train.data.header", "line 1", "header = true")
    data = read_data(table(text), header=True, labels=-1)
    assert data.values.tolist() == [[5.1, 3.5, 1.4]] and data.labels.tolist() == [0]
    assert read_data(table("0,1\n2,3\n"), header=True).values.tolist() == [[2, 3]]
    refused(table("a,b\n1,2\n"), "'a' on line 1, column 0", header=False)
    refused(table("1,2\n"), "train.data.header", header="no")


def test_labels_and_weights_by_number_and_name(table):
    text = "kind,x,y,w\nA,0,1,0.5\nB,1,1,2\n"
    for labels, weights in (("kind", "w"), (0, 3), (-4, -1)):
        data = read_data(table(text), labels=labels, weights=weights)
        assert data.values.tolist() == [[0, 1], [1, 1]] and data.values.dtype == np.int8
        assert data.labels.tolist() == ["A", "B"] and data.weights.tolist() == [0.5, 2.0]
    assert read_data(table("1.5,2,setosa\n1,2,virginica"), labels=-1).labels.tolist() == [
        "setosa",
        "virginica",
    ]
    assert read_data(table("1 2 7\n1 2 8"), labels=2).labels.tolist() == [7, 8]


def test_leading_columns_are_skipped(table):
    data = read_data(table("Real HG00096_A 1 0 1\nReal HG00096_B 0 0 1\n"), skip_columns=2)
    assert data.values.tolist() == [[1, 0, 1], [0, 0, 1]]
    both = read_data(table("Real HG1 1 0\nArt HG2 0 0\n"), skip_columns=2, labels=0)
    assert both.labels.tolist() == ["Real", "Art"] and both.values.tolist() == [[1, 0], [0, 0]]


def test_columns_that_do_not_exist(table):
    path = table("a,b\n1,2\n")
    refused(path, "train.data.labels", "a, b", labels="c")
    refused(path, "train.data.labels", "from -2 to 1", labels=2)
    refused(path, "train.data.labels", labels=True)
    refused(path, "train.data.skip_columns", "2 columns", skip_columns=2)
    refused(path, "train.data.skip_columns", "0 or more", skip_columns=-1)
    refused(table("1,2\n"), "names need a header", labels="a", header=False)
    refused(table("a,b,c\n1,2\n"), "train.data.labels", "a name per column", labels="a")


def test_ragged_rows(table):
    refused(
        table("1 2 3\n\n# note\n4 5\n"), "(t.csv)", "2 columns on line 4", "3 columns, as on line 1"
    )
    refused(table("800 1600\n1 793 1\n"), "3 columns on line 2", "header = true")
    refused(table('1,2\n"3,5",4,5\n'), "3 columns on line 2")


def test_fields_that_are_no_numbers(table):
    refused(table("1,2\n3,\n"), "an empty field on line 2, column 1")
    refused(table("1,2\n3,x7\n"), "'x7' on line 2, column 1")
    refused(table("1 2\n3 1_0\n"), "'1_0' on line 2")
    refused(table("1,2\n3,nan\n"), "nan at sample 1, unit 1")
    refused(table("1 2 A\n3 4 B\n"), "train.data.header", "taken as labels")
    many = "1 2\n" * 9000 + "1 oops\n"
    refused(table(many), "'oops' on line 9001, column 1")
    refused(table("1,2,A\n3,4,B\n"), "'A' on line 1", weights=2)


def test_files_without_samples(table):
    refused(table(""), "the file is empty")
    refused(table("# only\n"), "the file is empty")
    refused(table("a,b\n"), "no sample")
    refused(table(b"\x93NUMPY\xff\xfe"), "the file is no text")
