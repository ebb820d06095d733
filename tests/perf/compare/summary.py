"""Lines of all processes to the table: medians over rounds, ratios, floors, as records and Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from floors import floor_seconds
from works import WORKS

NAMES = {"sklearn": "scikit-learn", "openjij": "OpenJij", "dwave": "dwave-samplers"}
NAMES |= {"torch": "torch by hand", "numpy": "numpy by hand", "scipy": "scipy by hand"}
SCALES = {"per ns": 1e-9, "per s": 1.0, "ms": 1e3, "s": 1.0}
HEAD = ("work", "physebm", "peers (times slower)", "goal", "floor", "of the floor", "memory (MiB)")


def records(lines: Sequence[Mapping], limits: Mapping[str, float]) -> list[dict]:
    """One record per work that was run, in the order of the table.

    `lines` are those that the processes printed. A tool is missing, failed, or has the median of its
    seconds per unit over rounds, with the least and the most, and the largest memory.
    """
    out = []
    for work, row in WORKS.items():
        of_work = [line for line in lines if line["work"] == work]
        if not of_work:
            continue
        tools = {
            tool: _tool([x for x in of_work if x["tool"] == tool]) for tool in ("physebm", *row.goals)
        }
        ours = tools["physebm"]
        record = {"work": work, "title": row.title, "figure": row.figure, "tools": tools}
        record["goals"] = {tool: goal for tool, goal in row.goals.items() if goal}
        if "seconds" in ours:
            for held in tools.values():
                if "seconds" in held:
                    held["ratio"] = held["seconds"] / ours["seconds"]
            record["floor_seconds"] = floor_seconds(work, limits, ours)
            if record["floor_seconds"] is not None:
                record["of_the_floor"] = record["floor_seconds"] / ours["seconds"]
        out.append(record)
    return out


def _tool(lines: Sequence[Mapping]) -> dict:
    timed = [line for line in lines if "seconds" in line]
    if not timed:
        missing = [line["missing"] for line in lines if "missing" in line]
        return {"missing": missing[0]} if missing else {"failed": [x.get("failed", "") for x in lines]}
    seconds = [line["seconds"] for line in timed]
    held = {
        "seconds": statistics.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "rounds": len(seconds),
        "memory_mib": max(line["memory_mib"] for line in timed),
        "threads": timed[0]["threads"],
    }
    for name in ("flips", "share", "value"):
        if name in timed[0]:
            held[name] = statistics.median([line[name] for line in timed])
    return held


def markdown(found: Sequence[Mapping]) -> str:
    """The table, a line per work."""
    lines = [f"| {' | '.join(HEAD)} |", "|---|---|---|---|---|---|---|"]
    for record in found:
        tools, kind = record["tools"], record["figure"]
        peers = [_peer(tool, tools[tool], record) for tool in tools if tool != "physebm"]
        goals = [f"{_number(goal)}x {NAMES.get(tool, tool)}" for tool, goal in record["goals"].items()]
        if kind == "share":
            goals = [f"{100 * WORKS[record['work']].size['goal']:.0f} %"]
        floor = record.get("floor_seconds")
        cells = (
            record["title"],
            figure(kind, tools["physebm"]),
            "<br>".join(peers) or "-",
            "<br>".join(goals) or "-",
            figure(kind, {"seconds": floor}) if floor else "-",
            f"{100 * record['of_the_floor']:.0f} %" if floor else "-",
            _memory(tools),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def figure(kind: str, held: Mapping) -> str:
    """Seconds per unit in the form of the row: a rate, a time, a share."""
    if "seconds" not in held:
        return "not installed" if "missing" in held else "failed"
    if kind == "share":
        return f"{100 * held['share']:.0f} % of {_number(held['seconds'])} s"
    seconds, scale = held["seconds"], SCALES[kind]
    if kind.startswith("per"):
        return f"{_number(scale / seconds)}/{kind.removeprefix('per ')}"
    return f"{_number(scale * seconds)} {kind}"


def _peer(tool: str, held: Mapping, record: Mapping) -> str:
    name, shown = NAMES.get(tool, tool), figure(record["figure"], held)
    if "ratio" not in held:
        return f"{name} {shown}"
    goal, ratio = record["goals"].get(tool), f"{_number(held['ratio'])}x"
    met = goal is not None and held["ratio"] >= goal
    return f"{name} {shown} (**{ratio}**)" if met else f"{name} {shown} ({ratio})"


def _memory(tools: Mapping[str, Mapping]) -> str:
    """Peak memory of physebm's process, and those of its peers in their order."""
    shown = [f"{each['memory_mib']:.0f}" if "memory_mib" in each else "-" for each in tools.values()]
    return shown[0] if len(shown) == 1 else f"{shown[0]} ({', '.join(shown[1:])})"


def _number(x: float) -> str:
    """Two significant digits, three above 10, no exponent where it can be avoided."""
    if x >= 100:
        return f"{x:.0f}"
    return f"{x:.3g}" if x >= 10 else f"{x:.2g}"


def machine(limits: Mapping[str, float], processor: str, threads: int, date: str) -> str:
    """The lines above the table: where and when, the limits that floors are made of, and units."""
    flops, copied, words = (limits[name] / 1e9 for name in ("flops", "bytes", "words"))
    unit = f"matrix unit {limits['matrix'] / 1e12:.1f} TFLOP/s, " if "matrix" in limits else ""
    return (
        f"{processor}, {threads} threads, {date}: products {flops:.0f} GFLOP/s, {unit}copies "
        f"{copied:.0f} GB/s, Philox {words:.1f} words/ns. Per ns: updates of single units of all "
        "chains; per s: gradient updates. Ratios in bold meet their goal; memory is the peak of a "
        "process, of physebm (of peers).\n"
    )
