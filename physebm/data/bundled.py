"""Data sets by name: the 8x8 digits, which come with the package, and the irises of scikit-learn.

digits: 1797 handwritten digits of 8 x 8 pixels with values 0 to 16, and their labels 0 to 9: the test
part of "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning
Repository, 1998, CC BY 4.0), in the copy that scikit-learn distributes (BSD-3). The file's attributes
say the same.

iris: length and width of sepals and petals of 150 flowers in cm, 50 of each of three species
(E. Anderson, Bull. Am. Iris Soc. 59, 2 (1935); R. A. Fisher, Ann. Eugen. 7, 179 (1936)). It is read
from an installed scikit-learn, whose copy has the numbers of Fisher's table.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from physebm.data.dataset import DataSet
from physebm.errors import StudyFileError

NAMES = ("digits",)
"""Files of the package."""
ELSEWHERE = ("iris",)
"""Read from another package that must be installed."""


def bundled(name: str, where: str = "train.data.source") -> DataSet:
    """A data set by name.

    ``digits`` has values ``[1797, 8, 8]`` (uint8), ``iris`` ``[150, 4]`` (float64: sepal length and
    width, petal length and width); both have integer labels ``[sample]``.

    Raises
    ------
    StudyFileError
        for another name, and for iris without scikit-learn.
    """
    if name == "iris":
        return _iris(where)
    if name not in NAMES:
        raise StudyFileError(where, got=name, expected=(*NAMES, *ELSEWHERE))
    import netCDF4

    with (
        resources.as_file(resources.files("physebm.data") / f"{name}.nc") as path,
        netCDF4.Dataset(path) as held,
    ):
        held.set_auto_mask(False)
        return DataSet(
            held["pixels"][...],
            labels=held["label"][...].astype(np.int64),
            source=name,
            attrs={key: held.getncattr(key) for key in held.ncattrs()},
        )


def _iris(where: str) -> DataSet:
    try:
        from sklearn.datasets import load_iris
    except ImportError:
        raise StudyFileError(
            where,
            got="iris",
            expected="an installed scikit-learn, whose copy is read",
            hint="install the extra [datasets] of physebm, or a file of your own: "
            'train.data = { path = "iris.csv", header = true, labels = "species" }',
        ) from None
    held = load_iris()
    return DataSet(
        np.asarray(held.data, dtype=np.float64),
        labels=np.asarray(held.target, dtype=np.int64),
        source="iris",
        attrs={
            "creator": "E. Anderson, R. A. Fisher",
            "columns": list(map(str, held.feature_names)),
            "classes": list(map(str, held.target_names)),
        },
    )
