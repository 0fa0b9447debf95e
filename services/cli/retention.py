"""``closed-loop retention``: forgetting customers and other things whose time is over."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.frame import AsJson, examples, group, run

retention_app = group(
    "How long things are kept.",
    "closed-loop retention run --dry-run",
    "closed-loop retention run --json",
)


@retention_app.callback()
def _retention() -> None:
    """Keep the name of the command, although it is the only one."""


@retention_app.command(
    "run",
    help=examples(
        "closed-loop retention run --dry-run",
        "closed-loop retention run --by ada@example.org --json",
    )
    + "\n\nForget now whose time is over, instead of in the next night, and with it what else"
    " is older than its period. --dry-run says how much that is, and changes nothing.",
)
def retention_run(
    *,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be forgotten.")] = False,
    by: Annotated[
        str | None, typer.Option(help="E-mail address of the member of staff who does it.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until it is done.")] = 600,
    as_json: AsJson = False,
) -> None:
    """Forget what is over; scores stay."""
    from services.commands.retaining import run_retention, say_outlook

    if dry_run:
        run(say_outlook(as_json=as_json))
    else:
        run(run_retention(by=by, wait=wait, as_json=as_json))
