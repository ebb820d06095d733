"""Commands on the result of a training: score data, draw samples."""

from __future__ import annotations

import click

from physebm.cli.guard import guarded
from physebm.cli.options import CONTEXT, at_option, update_option


@click.command(context_settings=CONTEXT)
@click.argument("result", type=click.Path())
@click.argument("data", type=click.Path())
@update_option
@at_option
@click.option("--out", type=click.Path(), help="Write the scores of all samples to this .nc file.")
@guarded
def score(result, data, update, at, out) -> None:
    """Free energies of the samples in DATA under RESULT's model.

    DATA is read like the training data of the study: same variable, alphabet, threshold.
    """
    from physebm.study.paths import check_result_path
    from physebm.study.trained_files import read_age_option, read_at_options, score_file, write_scores

    check_result_path(result)
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


@click.command(context_settings=CONTEXT)
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
@guarded
def generate(result, samples, out, sweeps, temperature, seed, clamp, update, at) -> None:
    """Draw samples from the trained model of RESULT.

    Every sample is the end of an independent chain that started at random.
    """
    from physebm.study.paths import check_result_path
    from physebm.study.trained_files import generate_file, read_age_option, read_at_options

    check_result_path(result)
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
