"""The benchmark: every work by physebm and its peers, round after round, and the table of it.

Run: ``python tests/perf/compare/table.py [--rounds 3] [--only WORK ...] [--out FOLDER/NAME]``. It
writes ``NAME.json`` (all medians and spreads) and ``NAME.md`` (the table), and prints the latter. Every
figure is that of a process of its own with as many threads as cores (`OMP_NUM_THREADS` for another
number), a work and its peers after one another within a round; medians are over rounds, of which the
last may be cut by `--minutes`. Peers come from the extra ``bench``; those that are not installed are
said to be so.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from works import WORKS

HERE = Path(__file__).parent
LONGEST = 240
BUSY = 0.5


def main() -> None:
    given = _arguments()
    threads = str(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    environment = {**os.environ, "OMP_NUM_THREADS": threads}
    lines, started = [], time.perf_counter()
    load = os.getloadavg()[0]
    if load > BUSY:
        print(f"load {load:.1f}: others compute here; figures will be of little worth", file=sys.stderr)
    limits = _process(["limits.py"], environment)
    if "failed" in limits:
        raise SystemExit(f"limits.py failed: {limits['failed']}")
    for round_ in range(given.rounds):
        for work in given.only or WORKS:
            late = time.perf_counter() - started > 60 * given.minutes
            if round_ and (WORKS[work].once or late):
                continue
            for tool in ("physebm", *WORKS[work].goals):
                script = ["ours.py", work] if tool == "physebm" else ["peers.py", work, tool]
                line = _process([*script, *given.passed], environment)
                lines.append({"work": work, "tool": tool, **line, "round": round_})
                shown = line.get("seconds") or line.get("missing") or line.get("failed")
                minutes = (time.perf_counter() - started) / 60
                print(
                    f"[{minutes:5.1f} min] round {round_ + 1} {work} {tool}: {shown}", file=sys.stderr
                )
    _write(given.out, lines, limits, int(threads), load)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--minutes", type=float, default=18, help="later no work of a further round begins"
    )
    parser.add_argument("--only", nargs="+", choices=list(WORKS), metavar="WORK", help=", ".join(WORKS))
    parser.add_argument("--out", type=Path, default=Path("results/speed"), help="files without suffix")
    parser.add_argument("--repetitions", type=int, help="exactly so many in each process: a rehearsal")
    given = parser.parse_args()
    given.passed = ["--repetitions", str(given.repetitions)] if given.repetitions else []
    return given


def _process(script: list[str], environment: dict[str, str]) -> dict:
    """The last line that a process printed; where it failed, the end of what it said."""
    command = [sys.executable, str(HERE / script[0]), *script[1:]]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return {"failed": f"longer than {LONGEST} s"}
    printed = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not printed:
        return {"failed": done.stderr[-500:]}
    return json.loads(printed[-1])


def _write(out: Path, lines: list[dict], limits: dict[str, float], threads: int, load: float) -> None:
    from summary import machine, markdown, records

    from physebm.storage.provenance import cpu_model, git_commit

    found, date = records(lines, limits), datetime.date.today().isoformat()
    text = machine(limits, cpu_model(), threads, date) + "\n" + markdown(found)
    kept = {
        "date": date,
        "processor": cpu_model(),
        "threads": threads,
        "load_at_start": load,
        "git_commit": git_commit(),
        "limits": limits,
        "table": found,
        "lines": lines,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n")
    out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
