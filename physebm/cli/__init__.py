"""The command line: parse arguments, call `physebm.study`, print for people.

Exit status: 0 success, 1 failure, 2 bad input; a user's mistake shows one message and no traceback.
What a command needs is imported when it runs, so that help is there at once.
"""

from __future__ import annotations

import click

from physebm.cli import models, studies, trained
from physebm.cli.options import CONTEXT


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


for _command in (
    studies.run,
    studies.status,
    studies.estimate,
    studies.plot,
    trained.score,
    trained.generate,
    models.check,
    models.list_models,
    models.show,
):
    main.add_command(_command)
