"""Options that several commands have, and how all of them look."""

from __future__ import annotations

import click

from physebm.schema import words

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
BACKENDS = click.Choice(words.BACKENDS)

set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE",
    help="Write a key of the study otherwise, e.g. sample.sweeps=5000; a bare NAME means set.NAME. "
    "VALUE is TOML. May be repeated.",
)  # fmt: skip
out_option = click.option("--out", type=click.Path(), help="Result file  [default: results/STUDY.nc]")
backend_option = click.option(
    "--backend", type=BACKENDS,
    help="Kernels to use: auto takes a GPU where one works, else numba; cuda-host runs the kernels for "
    "GPUs on the processor, slowly, for proofs  [default: the study's own choice, else auto]",
)  # fmt: skip
models_option = click.option(
    "--models", type=click.Path(), help="Models file  [default: the models.toml that ships]"
)
update_option = click.option(
    "--update", default="last", show_default=True, help="Recorded age of the training to take."
)
at_option = click.option(
    "--at", multiple=True, metavar="AXIS=VALUE",
    help="Which training, where the study scanned some, e.g. train_method=pcd. May be repeated.",
)  # fmt: skip
