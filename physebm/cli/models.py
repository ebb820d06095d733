"""Commands on models: which there are, what one says, whether its kernels are right."""

from __future__ import annotations

import sys

import click

from physebm.cli.guard import guarded
from physebm.cli.options import BACKENDS, CONTEXT, models_option
from physebm.errors import InputError
from physebm.schema.words import METHODS, STAGES


@click.command(context_settings=CONTEXT)
@click.argument("model", required=False)
@models_option
@click.option(
    "--backend", type=BACKENDS, default="numba", show_default=True,
    help="Kernels to check; cuda-host checks those for GPUs without one, on few chains.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of the exact samples.")
@guarded
def check(model, models, backend, seed) -> None:
    """Check compiled kernels against exact enumeration.

    MODEL is one of `physebm models`, or of your own file (--models); without it all are checked.
    Runs on the model's `small` instance: exact samples must stay exact under every legal update.
    """
    from physebm.backends.select import choice
    from physebm.study.check import check_model
    from physebm.study.check_report import format_report
    from physebm.study.models import load_model, models_of

    names = [model] if model else list(models_of(models))
    taken = choice(backend)
    click.echo(f"backend  {taken}")
    bad = []
    for name in names:
        report = check_model(load_model(name, models=models), backend=taken.name, seed=seed)
        click.echo(format_report(report))
        if not report.passed:
            bad.append(name)
    if bad:
        click.echo(f"FAILED: {', '.join(bad)}", err=True)
        sys.exit(1)


@click.command("models", context_settings=CONTEXT)
@models_option
@guarded
def list_models(models) -> None:
    """List the models there are."""
    from physebm.study.models import models_of

    declared = models_of(models)
    width = max(map(len, declared))
    for name, model in declared.items():
        click.echo(f"{name:<{width}}  {model.title}")


@click.command(context_settings=CONTEXT)
@click.argument("model")
@click.option(
    "--stage", type=click.Choice(STAGES), default="model", show_default=True, help="What to print."
)
@click.option(
    "--method", type=click.Choice(METHODS), default="heat-bath", show_default=True,
    help="Update of the stages plan, numba and cuda.",
)  # fmt: skip
@click.option(
    "--chains", type=click.IntRange(1), default=1, show_default=True,
    help="Chains that are swept together, for the stages plan, numba and cuda: many have other plans.",
)  # fmt: skip
@click.option("--library", is_flag=True, help="With the stage cuda: print the hand-written parts too.")
@click.option(
    "--set", "parameters", multiple=True, metavar="NAME=VALUE",
    help="Set a parameter of the model. May be repeated.",
)  # fmt: skip
@models_option
@guarded
def show(model, stage, method, chains, library, parameters, models) -> None:
    """Print MODEL as mathematics, as sweep plan, or as code."""
    from physebm.schema.expressions import parse
    from physebm.schema.load import load
    from physebm.study.describe import describe
    from physebm.study.models import load_model

    chosen = {}
    for item in parameters:
        name, sign, value = item.partition("=")
        if not sign or not value.strip():
            raise InputError("--set", got=item, expected="NAME=VALUE, as in N=500")
        chosen[name.strip()] = value.strip()
    given = {name: parse(held, f"--set {name}", InputError) for name, held in chosen.items()}
    declared = load_model(model, models=models).declaration
    click.echo(describe(load(declared, given), stage, method, chains, library))
