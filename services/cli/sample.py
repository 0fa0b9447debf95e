"""``closed-loop sample``: sample data goes as it came, as a whole."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from services.cli.frame import AsJson, examples, group, run
from shared.errors import Forbidden

sample_app = group(
    "Sample data: test responses, and what the demo brought.",
    "closed-loop sample remove",
    "closed-loop sample remove --yes --json",
)


@sample_app.callback()
def sample_group() -> None:
    """Keep the group a group although it has one command."""


@sample_app.command(
    "remove",
    help=examples("closed-loop sample remove", "closed-loop sample remove --yes --json")
    + "\n\nWhat you posted or changed stays. Works beside a running installation.",
)
def sample_remove(
    *,
    yes: Annotated[bool, typer.Option(help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove test responses, and what the demo brought."""
    from services.commands.sample import remove_samples

    if not yes and not (sys.stdin.isatty() and typer.confirm("Remove the sample data?")):
        raise Forbidden("Nothing was removed. Add --yes to remove it without being asked.")
    run(remove_samples(as_json=as_json))
