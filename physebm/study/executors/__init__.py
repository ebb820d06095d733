"""Map picklable tasks: here, on processes of this machine, or on a Dask cluster. Knows no physics."""

from physebm.study.executors.local import cores, processes, serial

__all__ = ["cores", "processes", "serial"]
