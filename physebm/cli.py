"""The command line: parse arguments, call `physebm.study`, print for people.

Exit status: 0 success, 1 failure, 2 bad input; a user's mistake shows one message and no traceback.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from physebm.errors import PhysebmError
from physebm.storage.netcdf import open_summary
from physebm.study.check import check_model
from physebm.study.check_report import format_report
from physebm.study.describe import STAGES, describe
from physebm.study.estimate import estimate_study
from physebm.study.figures import draw_figures
from physebm.study.models import load_model, models_of
from physebm.study.runner import open_study, progress_of, run_study

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
BACKENDS = click.Choice(["auto", "numba", "reference"])

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Override a study key (dotted, e.g. sample.sweeps=5000); a bare NAME means set.NAME.",
)  # fmt: skip
out_option = click.option("--out", type=click.Path(), help="Result file [default: results/STUDY.nc].")
models_option = click.option(
    "--models", type=click.Path(), help="Models file [default: the models.toml that ships]."
)


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="physebm")
def main() -> None:
    """A laboratory for statistical physics and energy-based models.

    Write a Hamiltonian in TOML, run a study of it, analyse the result with xarray.

    \b
      physebm run studies/hopfield_phase.toml
      physebm show hopfield
      physebm check hopfield
    """  # noqa: D301 - click reads the control character


def _guarded(command: Callable) -> Callable:
    """Turn the project's errors into one message and an exit status; Ctrl-C into a hint."""

    def wrapped(*args, **kwargs):
        signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        try:
            command(*args, **kwargs)
        except PhysebmError as error:
            click.echo(f"{type(error).__name__}: {error}", err=True)
            sys.exit(error.exit_status)
        except KeyboardInterrupt:
            click.echo("\ninterrupted; the same command continues from the last checkpoint", err=True)
            sys.exit(130)
        except BrokenPipeError:
            sys.exit(0)

    wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
    if hasattr(command, "__click_params__"):
        wrapped.__click_params__ = command.__click_params__
    return wrapped


@main.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@out_option
@click.option("--backend", type=BACKENDS, help="Kernels to use [default: the study's, or auto].")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes.")
@click.option("--restart", is_flag=True, help="Forget what was computed and begin again.")
@click.option("--no-plot", is_flag=True, help="Write the result only, no figures.")
@_guarded
def run(study, overrides, out, backend, workers, restart, no_plot) -> None:
    """Run STUDY (a TOML file), or continue it where it was interrupted.

    Writes one netCDF result and the figures of its [plot] table beside it. Killed at any moment,
    the same command continues and ends with the same bits, for any number of workers.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task(Path(study).stem, total=1.0)

        def watch(fraction: float, done: int, tasks: int) -> None:
            name = f"{Path(study).stem}  task {min(done + 1, tasks)} of {tasks}"
            bar.update(line, completed=fraction, description=name)

        outcome = run_study(
            study,
            overrides,
            out=out,
            backend=backend,
            workers=workers,
            restart=restart,
            command=shlex.join(["physebm", *sys.argv[1:]]),
            watch=watch,
        )
    if not outcome.fresh:
        click.echo(f"{outcome.result} is complete already (--restart computes it again)")
    _summary(outcome.result)
    if not no_plot:
        for path in draw_figures(outcome.result):
            click.echo(f"figure   {path}")
    for name, text in outcome.failures.items():
        click.echo(f"failed   {name}: {text}", err=True)
    click.echo(f"result   {outcome.result}   ({outcome.seconds:.1f} s)")
    if outcome.failures:
        sys.exit(1)


def _summary(path: Path) -> None:
    """A table of what was recorded: range over the grid, typical error, verdicts."""
    ds = open_summary(path)
    table = Table(title=ds.attrs.get("title") or path.stem, title_justify="left")
    for head in ("observable", "least", "greatest", "median error", "longest tau"):
        table.add_column(head, justify="left" if head == "observable" else "right")
    for name in ds.data_vars:
        if name.endswith(("_stderr", "_tau")) or ds[name].dtype.kind != "f":
            continue
        cells = [_number(np.nanmin, ds[name]), _number(np.nanmax, ds[name])]
        for tail, pick in (("_stderr", np.nanmedian), ("_tau", np.nanmax)):
            cells.append(_number(pick, ds[f"{name}{tail}"]) if f"{name}{tail}" in ds else "")
        table.add_row(str(name), *cells)
    Console().print(table)
    points = int(np.prod([ds.sizes[dim] for dim in ds["status"].dims], dtype=int))
    failed = int((ds["status"] != 0).sum())
    text = f"{points} points" + (f", {failed} without a result (see `message`)" if failed else "")
    if "equilibration" in ds:
        counts = [int((ds["equilibration"] == code).sum()) for code in (0, 1, 2)]
        text += (
            f"; equilibrated {counts[0]}, suspect {counts[1]}, not equilibrated {counts[2]}"
            " (reasons in `equilibration_message`)"
        )
    click.echo(text)


def _number(pick, values) -> str:
    values = np.asarray(values, dtype=float)
    return f"{pick(values):.4g}" if np.isfinite(values).any() else "-"


@main.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@out_option
@_guarded
def status(study, overrides, out) -> None:
    """How far STUDY is, also while another process runs it."""
    opened = open_study(study, overrides, out)
    fraction, done, tasks = progress_of(opened)
    if opened.out.exists():
        click.echo(f"complete: {opened.out}")
        return
    begun = opened.work.exists()
    click.echo(f"{'running or interrupted' if begun else 'not begun'}: {opened.path}")
    click.echo(f"{100 * fraction:.1f} % done, {done} of {tasks} tasks, {opened.grid.points} points")
    for task in opened.grid.tasks:
        folder = opened.work / task.name
        if (folder / "checkpoint.npz").exists():
            click.echo(
                f"  {task.name}: checkpoint of {(folder / 'checkpoint.npz').stat().st_size} bytes"
            )


@main.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@click.option("--backend", type=BACKENDS)
@_guarded
def estimate(study, overrides, backend) -> None:
    """Bytes, unit updates, random words and time of STUDY, before running it."""
    opened = open_study(study, overrides)
    rows = estimate_study(opened, backend)
    table = Table("task", "points", "lanes", "memory", "unit updates", "random words", "time")
    for row in rows:
        table.add_row(
            row.task, str(row.points), str(row.lanes), f"{row.nbytes / 2**20:.1f} MiB",
            f"{row.unit_updates:.2e}", f"{row.random_words:.2e}", f"{row.seconds:.1f} s",
        )  # fmt: skip
    Console().print(table)
    click.echo(
        f"{opened.grid.points} points in {len(rows)} tasks, about "
        f"{sum(row.seconds for row in rows):.0f} s of sweeps on this machine with one worker "
        "(rehearsed; compiling, measuring and inserted rungs not counted)"
    )


@main.command(context_settings=CONTEXT)
@click.argument("model", required=False)
@models_option
@click.option("--backend", type=BACKENDS, default="numba", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@_guarded
def check(model, models, backend, seed) -> None:
    """Hold the compiled kernels of MODEL (or all) against exact enumeration.

    Runs on the model's `small` instance: exact samples must stay exact under every legal update.
    """
    names = [model] if model else list(models_of(models))
    bad = []
    for name in names:
        report = check_model(load_model(name, models=models), backend=backend, seed=seed)
        click.echo(format_report(report))
        if not report.passed:
            bad.append(name)
    if bad:
        click.echo(f"FAILED: {', '.join(bad)}", err=True)
        sys.exit(1)


@main.command("models", context_settings=CONTEXT)
@models_option
@_guarded
def list_models(models) -> None:
    """List the declared models."""
    declared = models_of(models)
    width = max(map(len, declared))
    for name, model in declared.items():
        click.echo(f"{name:<{width}}  {model.title}")


@main.command(context_settings=CONTEXT)
@click.argument("model")
@click.option("--stage", type=click.Choice(STAGES), default="model", show_default=True)
@click.option("--method", default="heat-bath", show_default=True, help="Update to lower.")
@click.option(
    "--set", "parameters", multiple=True, metavar="NAME=VALUE", help="Set a parameter of the model."
)
@models_option
@_guarded
def show(model, stage, method, parameters, models) -> None:
    """Print one stage of MODEL: its mathematics, its sweep plan, or the generated kernel."""
    chosen = {}
    for item in parameters:
        name, sign, value = item.partition("=")
        if not sign:
            raise click.UsageError(f"--set {item}: write NAME=VALUE")
        chosen[name.strip()] = value.strip()
    click.echo(describe(load_model(model, models=models, **chosen), stage, method))


@main.command(context_settings=CONTEXT)
@click.argument("result", type=click.Path())
@click.option("--out", type=click.Path(), help="Folder for the figures [default: beside the result].")
@_guarded
def plot(result, out) -> None:
    """Draw the figures of a RESULT's [plot] table again."""
    for path in draw_figures(Path(result), Path(out) if out else None):
        click.echo(path)
