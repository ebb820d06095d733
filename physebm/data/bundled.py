"""Data that come with the package: the 8x8 digits.

1797 handwritten digits of 8 x 8 pixels with values 0 to 16, and their labels 0 to 9: the test part of
"Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository,
1998, CC BY 4.0), in the copy that scikit-learn distributes (BSD-3). The file's attributes say the
same.
"""

from __future__ import annotations

from importlib import resources

import numpy as np

from physebm.data.dataset import DataSet
from physebm.errors import StudyFileError

NAMES = ("digits",)


def bundled(name: str, where: str = "train.data.source") -> DataSet:
    """A bundled data set: ``digits`` has values ``[1797, 8, 8]`` (uint8) and labels ``[1797]``.

    Raises
    ------
    StudyFileError
        for another name.
    """
    if name not in NAMES:
        raise StudyFileError(where, got=name, expected=NAMES)
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
