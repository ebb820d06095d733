"""Files of arrays: .npy, .npz, HDF5 in its dresses, and the two MATLAB formats."""

import netCDF4
import numpy as np
import pytest
from scipy.io import savemat

from physebm.data.read import read_data
from physebm.errors import StudyFileError

X = np.arange(12).reshape(4, 3)


def refused(path, *parts, **options):
    with pytest.raises(StudyFileError) as caught:
        read_data(path, where="s.toml: train.data", **options)
    for part in parts:
        assert part in str(caught.value)


def write_nc(path, arrays, kind="f8"):
    with netCDF4.Dataset(path, "w") as held:
        for name, x in arrays.items():
            *groups, leaf = name.split("/")
            group = held.createGroup("/".join(groups)) if groups else held
            dims = []
            for axis, size in enumerate(np.shape(x)):
                dims.append(f"{leaf}_{axis}")
                group.createDimension(dims[-1], size)
            group.createVariable(leaf, np.asarray(x).dtype, dims, fill_value=False)[...] = x
    return path


def test_npy(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(">i4"))
    np.save(tmp_path / "y.npy", [3, 1, 2, 0])
    np.save(tmp_path / "w.npy", [1, 2, 0, 1])
    data = read_data(tmp_path / "x.npy", labels="y.npy", weights="w.npy")
    assert data.values.tolist() == X.tolist() and data.values.dtype.isnative
    assert data.labels.tolist() == [3, 1, 2, 0] and data.weights.tolist() == [1, 2, 0, 1]
    assert data.source == "x.npy" and data.alphabet is None
    assert read_data(tmp_path / "x.npy", transpose=True).values.tolist() == X.T.tolist()
    refused(tmp_path / "x.npy", "train.data.labels", "4 samples", labels="x.npy")
    refused(tmp_path / "x.npy", "train.data.labels", "a .npy file", labels=0)
    refused(tmp_path / "x.npy", "train.data.labels", '"v.npy"', "did you mean", labels="v.npy")
    refused(tmp_path / "x.npy", "train.data.variable", "has no `variable`", variable="x")


def test_npz(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=X, y=np.arange(4), w=[0.5, -1, 1, 1], f=X / 2)
    data = read_data(path, variable="f", labels="y")
    assert data.values.tolist() == (X / 2).tolist() and data.attrs["variable"] == "f"
    refused(path, "train.data.variable", "x, y, w, f", "name one")
    refused(path, "train.data.variable", '"g"', variable="g")
    refused(path, "train.data.labels", '"labels"', "x, y, w, f", variable="x", labels="labels")
    refused(path, "train.data.weights", "-1.0 at sample 1", variable="x", weights="w")
    np.savez(path, x=X, y=np.arange(4))
    assert read_data(path, labels="y").values.tolist() == X.tolist()


def test_names_that_lie(tmp_path):
    np.savez(tmp_path / "x.npz", x=X)
    (tmp_path / "x.npz").rename(tmp_path / "x.npy")
    refused(tmp_path / "x.npy", "its name should end in .npz")
    np.save(tmp_path / "a.npy", X)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "its name should end in .npy")
    (tmp_path / "b.npy").write_text("1 2 3")
    refused(tmp_path / "b.npy", "cannot be read")
    (tmp_path / "b.h5").write_text("1 2 3")
    refused(tmp_path / "b.h5", "cannot open it")


def test_cut_off_arrays(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.arange(10000).reshape(100, 100))
    np.save(tmp_path / "x.npy", X)
    write_nc(tmp_path / "x.nc", {"x": X})
    for name in ("x.npz", "x.npy", "x.nc"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        refused(tmp_path / name, "train.data.path", name)


def test_damage_inside_an_archive(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", x=np.random.default_rng(1).normal(size=(50, 50)))
    whole = bytearray((tmp_path / "x.npz").read_bytes())
    whole[5000:5200] = bytes(200)
    (tmp_path / "x.npz").write_bytes(whole)
    refused(tmp_path / "x.npz", "cannot be read")


@pytest.mark.parametrize("suffix", [".nc", ".h5", ".hdf5"])
def test_hdf5_with_groups(tmp_path, suffix):
    path = write_nc(
        tmp_path / f"x{suffix}",
        {"retina/spikes": X.astype("u1"), "retina/trial": np.arange(4.0), "x": np.ones((2, 3, 3))},
    )
    data = read_data(path, variable="retina/spikes", labels="retina/trial")
    assert data.values.dtype == np.uint8 and data.values.tolist() == X.tolist()
    assert data.labels.dtype == np.int64
    assert read_data(path, variable="x").shape == (3, 3)
    refused(path, "train.data.variable", "x, retina/spikes, retina/trial")


def test_hdf5_fill_values_are_numbers_and_texts_are_not_on_offer(tmp_path):
    with netCDF4.Dataset(tmp_path / "x.nc", "w") as held:
        held.createDimension("n", 2)
        held.createVariable("x", "i2", ("n", "n"), fill_value=7)[:] = [[7, 1], [2, 3]]
        held.createVariable("name", str, ("n",))[:] = np.array(["a", "b"], dtype=object)
    assert read_data(tmp_path / "x.nc").values.tolist() == [[7, 1], [2, 3]]
    refused(tmp_path / "x.nc", "train.data.labels", labels="name")


def test_matlab_since_7_3_is_hdf5_behind_a_text(tmp_path):
    write_nc(tmp_path / "x.nc", {"spikes": X.astype("u1")})
    text = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512)
    (tmp_path / "x.mat").write_bytes(text + (tmp_path / "x.nc").read_bytes())
    assert read_data(tmp_path / "x.mat").values.tolist() == X.tolist()
    assert read_data(tmp_path / "x.mat", transpose=True).values.tolist() == X.T.tolist()


def test_matlab_before_7_3(tmp_path):
    savemat(tmp_path / "x.mat", {"spikes": X.T, "label": np.arange(4), "about": "text"})
    data = read_data(tmp_path / "x.mat", variable="spikes", labels="label", transpose=True)
    assert data.values.tolist() == X.tolist() and data.labels.tolist() == [0, 1, 2, 3]
    refused(tmp_path / "x.mat", "train.data.variable", "spikes, label", variable="spike")
    whole = (tmp_path / "x.mat").read_bytes()
    (tmp_path / "x.mat").write_bytes(whole[:200])
    refused(tmp_path / "x.mat", "cannot be read")


def test_values_that_are_no_data(tmp_path):
    cases = {
        "vector": (np.arange(3), "shape [3]"),
        "empty": (np.zeros((0, 3)), "shape [0, 3]"),
        "complex": (X * 1j, "complex128"),
        "texts": (np.array([["a", "b"]]), "<U1"),
        "nan": (np.where(X == 7, np.nan, X), "nan at sample 2, unit 1"),
        "inf": (np.where(X == 5, np.inf, X).reshape(2, 2, 3), "inf at sample 0, unit (1, 2)"),
    }
    for name, (x, part) in cases.items():
        np.save(tmp_path / f"{name}.npy", x)
        refused(tmp_path / f"{name}.npy", f"({name}.npy)", part)
    np.save(tmp_path / "objects.npy", np.array([[None]], dtype=object), allow_pickle=True)
    refused(tmp_path / "objects.npy", "cannot be read")


def test_booleans_and_long_floats_are_brought_to_plain_types(tmp_path):
    np.save(tmp_path / "b.npy", X > 5)
    np.save(tmp_path / "l.npy", X.astype(np.longdouble))
    assert read_data(tmp_path / "b.npy").values.dtype == np.int8
    assert read_data(tmp_path / "l.npy").values.dtype == np.float64


def test_labels_and_weights_that_are_no_use(tmp_path):
    def archive(**more):
        np.savez(tmp_path / "x.npz", x=X, **more)
        return tmp_path / "x.npz"

    row = read_data(archive(y=np.array([[0.5, 1, 2, 3]])), labels="y")
    assert row.labels.tolist() == [0.5, 1, 2, 3]
    names = read_data(archive(y=np.array(list("abca"))), labels="y")
    assert names.labels.tolist() == list("abca")
    refused(archive(y=[1, np.nan, 0, 0]), "train.data.labels", "nan at sample 1", labels="y")
    refused(archive(w=np.zeros(4)), "train.data.weights", "positive sum", weights="w")
    refused(archive(w=[1, np.inf, 0, 0]), "train.data.weights", "inf at sample 1", weights="w")
    refused(archive(w=np.array(list("abca"))), "train.data.weights", "real numbers", weights="w")
    refused(archive(w=np.ones((2, 2))), "train.data.weights", "shape [2, 2]", weights="w")
