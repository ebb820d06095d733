"""One work of the benchmark by a peer: ``python peers.py WORK TOOL`` prints one JSON line.

A peer that is not installed gives a line with ``missing`` and no seconds.
"""

from __future__ import annotations

import json

import cores  # noqa: F401  (before numpy)
from peers_machines import MACHINES
from peers_spins import SPINS
from timing import arguments, report


def main() -> None:
    given = arguments(__doc__.splitlines()[0], "work", "tool")
    run = (SPINS | MACHINES)[given.tool]
    try:
        timed = run(given.work, given.repetitions)
    except ImportError as error:
        print(json.dumps({"work": given.work, "tool": given.tool, "missing": error.name or str(error)}))
        return
    children = given.tool in ("dwave", "openjij")
    report(given.work, given.tool, timed, children)


if __name__ == "__main__":
    main()
