"""physebm: Hamiltonians declared in TOML, compiled to sweep kernels, recorded to xarray.

The public names below are imported when they are first used, so that ``import physebm`` is quick.
"""

from importlib import import_module
from importlib.metadata import version

_HOME = {
    "load_model": "physebm.study.models",
    "sample": "physebm.study.api",
    "train": "physebm.study.train_api",
    "free_energies": "physebm.study.free_energy_api",
    "open_trained": "physebm.study.trained",
    "run_study": "physebm.study.runner",
    "open_study": "physebm.study.runner",
    "check_model": "physebm.study.check",
    "draw_figures": "physebm.study.figures",
    "open_tree": "physebm.storage.netcdf",
    "lower": "physebm.lowering.pipeline",
    "bind": "physebm.lowering.operands",
    "select_backend": "physebm.backends.select",
    "Hamiltonian": "physebm.model.hamiltonian",
    "Params": "physebm.model.params",
    "Coefficients": "physebm.model.params",
    "PlanSampler": "physebm.sampling.chain",
    "ParallelTempering": "physebm.sampling.tempering",
    "PhysebmError": "physebm.errors",
}

__version__ = version("physebm")
__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'physebm' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), "select" if name == "select_backend" else name)


def __dir__():
    return sorted(__all__)
