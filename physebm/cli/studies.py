"""Commands on a study: run it, ask how far it is and what it costs, draw its figures again."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from physebm.cli.guard import fail, guarded
from physebm.cli.options import CONTEXT, backend_option, out_option, set_option
from physebm.cli.tables import print_table, progress
from physebm.errors import InputError

if TYPE_CHECKING:
    from physebm.study.runner import Outcome


@click.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@out_option
@backend_option
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True,
    help="Processes on this machine; tasks are shared between them, and GPUs: one for each.",
)  # fmt: skip
@click.option(
    "--scheduler", metavar="ADDRESS",
    help="Workers of a Dask cluster do the tasks: tcp://host:8786 or a scheduler file; cuda starts one "
    "for each GPU of this machine.",
)  # fmt: skip
@click.option("--restart", is_flag=True, help="Forget what this study has computed and begin again.")
@click.option("--no-plot", is_flag=True, help="Write the result only, no figures.")
@guarded
def run(study, overrides, out, backend, workers, scheduler, restart, no_plot) -> None:
    """Run STUDY (a TOML file), or continue it where it stopped.

    Writes one netCDF result, and the figures of its [plot] tables beside it. Killed at any moment,
    the same command continues and ends with the same bits, for any number of workers. Tasks that
    failed are tried again; those that are done are not.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from physebm.study.figures import draw_figures
    from physebm.study.run_summary import made_by
    from physebm.study.runner import run_study

    made = out is not None and not Path(out).parent.exists()
    console = Console(stderr=True)
    quiet = not console.is_terminal
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        line = bar.add_task(Path(study).stem, total=1.0)

        told, heard = [0], [""]

        def watch(fraction: float, done: int, jobs: int, note: str) -> None:
            if quiet and done > told[0]:
                told[0] = done
                click.echo(f"{100 * fraction:.0f} %, {done} of {jobs} tasks done", err=True)
            if quiet and note and note != heard[0]:
                heard[0] = note
                click.echo(f"{100 * fraction:.0f} %  {note}", err=True)
            name = f"{Path(study).stem}  task {min(done + 1, jobs)} of {jobs}  {note}".rstrip()
            bar.update(line, completed=fraction, description=name)

        outcome = run_study(
            study,
            overrides,
            out=out,
            backend=backend,
            workers=workers,
            scheduler=scheduler,
            restart=restart,
            command=shlex.join(["physebm", *sys.argv[1:]]),
            watch=watch,
            told=click.echo,
        )
    if not outcome.fresh:
        drawn = "" if no_plot or not outcome.study.plots else "; figures drawn again"
        click.echo(
            f"{outcome.result} is complete already, made by {made_by(outcome.result)}; nothing was "
            f"run{drawn} (--restart computes it again)"
        )
    _summary(outcome.result)
    click.echo(f"result   {outcome.result}   ({outcome.seconds:.1f} s)")
    if made:
        click.echo(f"folder   {outcome.result.parent} was made for it")
    for name, text in outcome.failures.items():
        click.echo(f"failed   {name}: {text}", err=True)
    if not no_plot:
        drawn = draw_figures(
            outcome.result, study=outcome.study, told=lambda path: click.echo(f"figure   {path}")
        )
        if not drawn:
            click.echo(f"figures  {_no_figures(outcome)}")
    if outcome.failures:
        diverged = [text for text in outcome.failures.values() if text.startswith("training diverged")]
        again = "the same command tries the failed tasks again"
        if diverged:
            kept = "a training that diverged is kept as it is: give it other keys of [train]"
            again = kept if len(diverged) == len(outcome.failures) else f"{again}; {kept}"
        fail(again, 1)


def _no_figures(outcome: Outcome) -> str:
    """How to get figures of a study that asks for none."""
    if outcome.study.free_energy is not None:
        return f"[plot] asks for none; `physebm plot {outcome.result}` draws the free energies"
    return f"[plot] asks for none; `physebm plot {outcome.result} --study FILE` draws those of FILE"


def _summary(path: Path) -> None:
    from physebm.storage.netcdf import open_group, open_summary
    from physebm.study.estimator_summary import estimator_reasons, estimator_table
    from physebm.study.run_summary import MEANING, summary_tables, verdict_line
    from physebm.study.verdict_reasons import verdict_reasons

    ds = open_summary(path)
    tables = summary_tables(ds, ds.attrs.get("title") or path.stem)
    reasons = verdict_reasons(ds)
    if "free_energy_verdict" in ds:
        group = open_group(path, "free_energies")
        tables.append(estimator_table(group))
        reasons += estimator_reasons(group)
    for each in tables:
        print_table(each.heads, each.rows, each.title, (MEANING,))
    for reason in reasons:
        click.echo(reason)
    click.echo(verdict_line(ds))


@click.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@out_option
@guarded
def status(study, overrides, out) -> None:
    """How far STUDY is, also while it runs.

    Of a result (a .nc file) in place of STUDY: the command that wrote it, and its summary again.
    """
    if Path(study).suffix == ".nc":
        _told_result(Path(study))
        return
    from physebm.schema.study_file import study_to_dict
    from physebm.study.differences import refuse_other_result
    from physebm.study.jobs_progress import failures_of, progress_of
    from physebm.study.opened import open_study
    from physebm.study.workfolder import complete, holder, other_work, saved

    opened = open_study(study, overrides, out)
    refuse_other_result(opened.out, opened.digest, study_to_dict(opened.study), asking=True)
    if not opened.work.exists() and complete(opened.out):
        click.echo(f"complete: {opened.out}")
        return
    running = holder(opened.work)
    other = other_work(opened.work, opened.digest, bool(running))
    if other:
        click.echo(f"not begun: {opened.path}")
        if running:
            click.echo(f"{opened.work} is in use for {other} ({running}); choose another --out")
        else:
            click.echo(
                f"{opened.work} holds unfinished work of {other}; choose another --out, or run with "
                "--restart, which forgets that work"
            )
        return
    fraction, done, tasks = progress_of(opened, bool(running))
    parts = (*opened.grid.trainings, *opened.grid.tasks, *opened.grid.free_energies)
    begun = running or opened.work.exists() or opened.out.exists()
    failures = failures_of(opened)
    ended = "failed" if failures else "stopped" if begun else "not begun"
    click.echo(f"{f'running ({running})' if running else ended}: {opened.path}")
    said = f"{done} of {tasks} tasks" + (f" ended, {len(failures)} failed" if failures else "")
    click.echo(f"{100 * fraction:.1f} % done, {said}, {opened.grid.points} points")
    for task in parts:
        folder = opened.work / task.name
        if task.name in failures:
            click.echo(f"  {task.name}: failed: {failures[task.name]}")
        elif (folder / "checkpoint.npz").exists():
            size = (folder / "checkpoint.npz").stat().st_size / 2**20
            click.echo(f"  {task.name}: checkpoint of {size:.1f} MiB")
        elif folder.exists() and not running and not saved(opened.work, task.name):
            click.echo(f"  {task.name}: stopped before its first checkpoint; it begins again")


def _told_result(path: Path) -> None:
    """Title, command, date and summary of a result."""
    from physebm.storage.dataset import record_of
    from physebm.storage.netcdf import open_group, open_summary
    from physebm.study.paths import check_result_path
    from physebm.study.workfolder import complete

    check_result_path(path)
    ds, record = open_summary(path), record_of(open_group(path, "/provenance"))
    click.echo(
        f"{'complete' if complete(path) else 'not complete'}: {path}, {ds.attrs.get('title', '?')}"
    )
    for name, key in (("command", "command"), ("date", "date_utc")):
        if record.get(key):
            click.echo(f"{name:<8} {record[key]}")
    runs = json.loads(record.get("runs", "[]"))
    if len(runs) > 1:
        said = (f"{run['backend']} {run['date_utc']}" for run in runs)
        click.echo(f"{'runs':<8} {len(runs)}: {', '.join(said)}")
    _summary(path)


@click.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@backend_option
@guarded
def estimate(study, overrides, backend) -> None:
    """What STUDY will cost: memory, work and time."""
    from physebm.backends.select import choice
    from physebm.study.estimate import estimate_study
    from physebm.study.opened import open_study
    from physebm.study.runner import in_batches

    opened = open_study(study, overrides)
    taken = choice(backend or opened.study.backend)
    click.echo(f"backend  {taken}")
    opened = in_batches(opened, taken, told=click.echo)
    with progress() as bar:
        rows = estimate_study(opened, taken.name, lambda name: bar(f"rehearsing {name}"))
    columns = ["task", "points", "lanes", "memory", "unit updates", "random words", "time"]
    exact, on_device = any(row.states for row in rows), any(row.device_bytes for row in rows)
    if on_device:
        columns.insert(4, "on the device")
    if exact:
        columns.insert(-1, "exact states")
    print_table(
        columns,
        [
            [
                row.task, str(row.points), str(row.lanes), _mebibytes(row.nbytes),
                *([_mebibytes(row.device_bytes)] if on_device else []),
                _counted(row.unit_updates), _counted(row.random_words),
                *([_counted(row.states)] if exact else []), f"{row.seconds:.1f} s",
            ]
            for row in rows
        ],
    )  # fmt: skip
    grid = opened.grid
    jobs = len(grid.tasks) + len(grid.trainings) + len(grid.free_energies)
    left_out = "compiling, measuring in tasks and inserted rungs of [tempering]"
    if grid.trainings and grid.free_energies:
        left_out += ", and rows that ladders and populations need after the training alone"
    click.echo(
        f"{grid.points} point{'s' * (grid.points != 1)} in {jobs} task{'s' * (jobs != 1)}, about "
        f"{sum(row.seconds for row in rows):.0f} s on this machine, one worker (rehearsed; {left_out} "
        "not counted)"
    )


def _mebibytes(nbytes: int) -> str:
    """Bytes; nothing where none are known."""
    return f"{nbytes / 2**20:.1f} MiB" if nbytes else "-"


def _counted(number: float) -> str:
    """A large number; nothing where a method does not do this kind of work."""
    return f"{number:.2e}" if number else "-"


@click.command(context_settings=CONTEXT)
@click.argument("result", type=click.Path())
@click.option("--out", type=click.Path(), help="Folder for the figures  [default: beside the result]")
@click.option(
    "--study", type=click.Path(), help="Draw the [plot] tables of this file  [default: those stored]"
)
@guarded
def plot(result, out, study) -> None:
    """Draw the figures of RESULT (a .nc file) again."""
    from physebm.schema.study_file import read_study
    from physebm.study.figures import draw_figures
    from physebm.study.paths import check_result_path

    check_result_path(result)
    asked = None if study is None else read_study(study)
    if not draw_figures(result, out, study=asked, told=click.echo):
        where = study or f"study of {result}"
        raise InputError(f"{where}: plot", hint="no figure is asked for; --study FILE takes others")
