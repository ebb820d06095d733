"""The command line: parse arguments, call `physebm.study`, print for people.

Exit status: 0 success, 1 failure, 2 bad input; a user's mistake shows one message and no traceback.
"""

from __future__ import annotations

import functools
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from physebm.errors import InputError, PhysebmError
from physebm.schema.load import load
from physebm.schema.study_declarations import METHODS
from physebm.schema.study_file import read_study, study_to_dict
from physebm.storage.netcdf import open_summary
from physebm.study.check import check_model
from physebm.study.check_report import format_report
from physebm.study.describe import STAGES, describe
from physebm.study.differences import refuse_other_result
from physebm.study.estimate import estimate_study
from physebm.study.figures import draw_figures
from physebm.study.jobs import progress_of
from physebm.study.models import load_model, models_of
from physebm.study.run_summary import summary_tables, verdict_line
from physebm.study.runner import open_study, run_study
from physebm.study.trained_files import (
    generate_file,
    read_age_option,
    read_at_options,
    score_file,
    write_scores,
)
from physebm.study.workfolder import complete, holder, other_work, saved

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
BACKENDS = click.Choice(["auto", "numba", "reference"])

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Write a key of the study otherwise, e.g. sample.sweeps=5000; a bare NAME means set.NAME. "
    "VALUE is TOML. May be repeated.",
)  # fmt: skip
out_option = click.option("--out", type=click.Path(), help="Result file  [default: results/STUDY.nc]")
backend_option = click.option(
    "--backend", type=BACKENDS, help="Kernels to use  [default: the study's own choice]"
)
models_option = click.option(
    "--models", type=click.Path(), help="Models file  [default: the models.toml that ships]"
)


@click.group("physebm", context_settings=CONTEXT)
@click.version_option(package_name="physebm", prog_name="physebm")
def main() -> None:
    """A laboratory for statistical physics and energy-based models.

    Write a Hamiltonian in TOML, run a study of it, analyse the result with xarray.

    \b
      physebm models                           what there is to study
      physebm show hopfield                    its Hamiltonian as mathematics
      physebm check hopfield                   its kernels against exact enumeration
      physebm run studies/hopfield_phase.toml  a study: result and figures
      physebm run studies/rbm_digits.toml      training on data; then score and generate

    Exit status: 0 success, 1 failure, 2 bad input, 130 interrupted.
    """  # noqa: D301 - click reads the control character


def _guarded(command: Callable) -> Callable:
    """Turn the project's errors into one message and an exit status, Ctrl-C into a hint."""

    @functools.wraps(command)
    def wrapped(*args, **kwargs):
        before = signal.signal(signal.SIGTERM, _terminated)
        try:
            command(*args, **kwargs)
        except PhysebmError as error:
            _fail(f"{type(error).__name__}: {error}", error.exit_status)
        except KeyboardInterrupt as interrupt:
            text = "interrupted"
            if command.__name__ == "run":
                words = [word for word in sys.argv[1:] if word != "--restart"]
                text += f"; to continue where it stopped:\n  {shlex.join(['physebm', *words])}"
            _fail(f"\n{text}", 143 if interrupt.args == ("SIGTERM",) else 130)
        except MemoryError as error:
            hint = "`physebm estimate STUDY` tells what a study needs"
            _fail(f"not enough memory{f': {error}' if str(error) else ''}\n  hint      {hint}", 1)
        except BrokenPipeError:
            raise  # click's own business: the reader of a pipe went away
        except OSError as error:
            _fail(f"{error.filename or 'the system'}: {error.strerror or error}", 1)
        finally:
            signal.signal(signal.SIGTERM, before)

    return wrapped


def _terminated(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt("SIGTERM")


def _fail(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)


@main.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@out_option
@backend_option
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True,
    help="Processes on this machine; tasks are shared between them.",
)  # fmt: skip
@click.option("--restart", is_flag=True, help="Forget what this study has computed and begin again.")
@click.option("--no-plot", is_flag=True, help="Write the result only, no figures.")
@_guarded
def run(study, overrides, out, backend, workers, restart, no_plot) -> None:
    """Run STUDY (a TOML file), or continue it where it stopped.

    Writes one netCDF result, and the figures of its [plot] tables beside it. Killed at any moment,
    the same command continues and ends with the same bits, for any number of workers. Tasks that
    failed are tried again; those that are done are not.
    """
    console = Console(stderr=True)
    quiet = not console.is_terminal
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
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
            restart=restart,
            command=shlex.join(["physebm", *sys.argv[1:]]),
            watch=watch,
        )
    if not outcome.fresh:
        drawn = "" if no_plot or not outcome.study.plots else "; figures drawn again"
        click.echo(f"{outcome.result} is complete already{drawn} (--restart computes it again)")
    _summary(outcome.result)
    click.echo(f"result   {outcome.result}   ({outcome.seconds:.1f} s)")
    for name, text in outcome.failures.items():
        click.echo(f"failed   {name}: {text}", err=True)
    if not no_plot:
        draw_figures(
            outcome.result, study=outcome.study, told=lambda path: click.echo(f"figure   {path}")
        )
    if outcome.failures:
        _fail("the same command tries the failed tasks again", 1)


def _summary(path: Path) -> None:
    ds = open_summary(path)
    for each in summary_tables(ds, ds.attrs.get("title") or path.stem):
        table = Table(title=each.title, title_justify="left")
        for number, head in enumerate(each.heads):
            table.add_column(head, justify="right" if number else "left")
        for row in each.rows:
            table.add_row(*row)
        Console().print(table)
    click.echo(verdict_line(ds))


@main.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@out_option
@_guarded
def status(study, overrides, out) -> None:
    """How far STUDY is, also while it runs."""
    opened = open_study(study, overrides, out)
    refuse_other_result(opened.out, opened.digest, study_to_dict(opened.study))
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
    fraction, done, tasks = progress_of(opened)
    parts = (*opened.grid.trainings, *opened.grid.tasks, *opened.grid.free_energies)
    if not running and not any(saved(opened.work, part.name) for part in parts):
        fraction = fraction if complete(opened.out) else 0.0  # notes of progress alone save nothing
    begun = running or opened.work.exists() or opened.out.exists()
    state = f"running ({running})" if running else "stopped" if begun else "not begun"
    click.echo(f"{state}: {opened.path}")
    click.echo(f"{100 * fraction:.1f} % done, {done} of {tasks} tasks, {opened.grid.points} points")
    for task in parts:
        folder = opened.work / task.name
        if (folder / "error.txt").exists() and not (folder / "result.npz").exists():
            click.echo(f"  {task.name}: failed; the next run tries it again ({folder / 'error.txt'})")
        elif (folder / "checkpoint.npz").exists():
            size = (folder / "checkpoint.npz").stat().st_size / 2**20
            click.echo(f"  {task.name}: checkpoint of {size:.1f} MiB")
        elif folder.exists() and not running and not saved(opened.work, task.name):
            click.echo(f"  {task.name}: stopped before its first checkpoint; it begins again")


@main.command(context_settings=CONTEXT)
@click.argument("study", type=click.Path())
@set_option
@backend_option
@_guarded
def estimate(study, overrides, backend) -> None:
    """What STUDY will cost: memory, work and time."""
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
        f"{sum(row.seconds for row in rows):.0f} s of sweeps and updates on this machine, one worker "
        "(rehearsed; compiling, measuring, recording and inserted rungs not counted)"
    )


update_option = click.option(
    "--update", default="last", show_default=True, help="Recorded age of the training to take."
)
at_option = click.option(
    "--at", multiple=True, metavar="AXIS=VALUE",
    help="Which training, where the study scanned some, e.g. train_method=pcd. May be repeated.",
)  # fmt: skip


@main.command(context_settings=CONTEXT)
@click.argument("result", type=click.Path())
@click.argument("data", type=click.Path())
@update_option
@at_option
@click.option("--out", type=click.Path(), help="Write the scores of all samples to this .nc file.")
@_guarded
def score(result, data, update, at, out) -> None:
    """Free energies of the samples in DATA under RESULT's model.

    DATA is read like the training data of the study: same variable, alphabet, threshold.
    """
    scores = score_file(result, data, read_age_option(update), read_at_options(at))
    for name in scores.data_vars:
        values = scores[name]
        click.echo(
            f"{name:<16} mean {float(values.mean()):.6g}  standard deviation {float(values.std()):.4g}"
            f"  least {float(values.min()):.6g}  greatest {float(values.max()):.6g}  ({values.units})"
        )
    click.echo(f"{scores.sizes['sample']} samples, update {scores.attrs['update']}")
    if out:
        click.echo(f"scores   {write_scores(out, scores)}")


@main.command(context_settings=CONTEXT)
@click.argument("result", type=click.Path())
@click.option("--samples", type=click.IntRange(1), required=True, help="How many to draw.")
@click.option("--out", type=click.Path(), required=True, help="File to write, .npy or .nc.")
@click.option(
    "--sweeps", type=click.IntRange(1), default=1000, show_default=True,
    help="Sweeps of each chain from its random start.",
)  # fmt: skip
@click.option("--temperature", type=float, default=1.0, show_default=True, help="H is divided by it.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the chains.")
@click.option("--clamp", type=click.Path(), help="Visible values to hold (.npy; nan or -1 is free).")
@update_option
@at_option
@_guarded
def generate(result, samples, out, sweeps, temperature, seed, clamp, update, at) -> None:
    """Draw samples from the trained model of RESULT.

    Every sample is the end of an independent chain that started at random.
    """
    path = generate_file(
        result,
        out,
        samples,
        sweeps=sweeps,
        temperature=temperature,
        seed=seed,
        clamp=clamp,
        update=read_age_option(update),
        at=read_at_options(at),
    )
    click.echo(f"samples  {path}")


@main.command(context_settings=CONTEXT)
@click.argument("model", required=False)
@models_option
@click.option("--backend", type=BACKENDS, default="numba", show_default=True, help="Kernels to check.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the exact samples.")
@_guarded
def check(model, models, backend, seed) -> None:
    """Check compiled kernels against exact enumeration.

    MODEL is one of `physebm models`, or of your own file (--models); without it all are checked.
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
    """List the models there are."""
    declared = models_of(models)
    width = max(map(len, declared))
    for name, model in declared.items():
        click.echo(f"{name:<{width}}  {model.title}")


@main.command(context_settings=CONTEXT)
@click.argument("model")
@click.option(
    "--stage", type=click.Choice(STAGES), default="model", show_default=True, help="What to print."
)
@click.option(
    "--method", type=click.Choice(METHODS), default="heat-bath", show_default=True,
    help="Update of the stages plan and numba.",
)  # fmt: skip
@click.option(
    "--set", "parameters", multiple=True, metavar="NAME=VALUE",
    help="Set a parameter of the model. May be repeated.",
)  # fmt: skip
@models_option
@_guarded
def show(model, stage, method, parameters, models) -> None:
    """Print MODEL as mathematics, as sweep plan, or as code."""
    chosen = {}
    for item in parameters:
        name, sign, value = item.partition("=")
        if not sign or not value.strip():
            raise InputError("--set", got=item, expected="NAME=VALUE, as in N=500")
        chosen[name.strip()] = value.strip()
    declared = load_model(model, models=models).declaration
    click.echo(describe(load(declared, chosen), stage, method))


@main.command(context_settings=CONTEXT)
@click.argument("result", type=click.Path())
@click.option("--out", type=click.Path(), help="Folder for the figures  [default: beside the result]")
@click.option(
    "--study", type=click.Path(), help="Draw the [plot] tables of this file  [default: those stored]"
)
@_guarded
def plot(result, out, study) -> None:
    """Draw the figures of RESULT (a .nc file) again."""
    asked = None if study is None else read_study(study)
    if not draw_figures(result, out, study=asked, told=click.echo):
        where = study or f"study of {result}"
        raise InputError(f"{where}: plot", hint="no figure is asked for; --study FILE takes others")
