"""``closed-loop dead-letters``: what could not be handled."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from services.cli.frame import AsJson, examples, group, run
from shared.errors import Forbidden

_By = Annotated[
    str | None, typer.Option(help="E-mail address of the member of staff who does it.")
]
_Reason = Annotated[
    str | None, typer.Option(help="Why, for the audit trail; no customer's name.")
]

letters_app = group(
    "Records that could not be handled.",
    "closed-loop dead-letters list",
    "closed-loop dead-letters replay --all",
)


@letters_app.command(
    "list",
    help=examples("closed-loop dead-letters list", "closed-loop dead-letters list --json"),
)
def letters_list(
    *,
    state: Annotated[str, typer.Option(help="parked, replayed, discarded or all.")] = "parked",
    as_json: AsJson = False,
) -> None:
    """List records that could not be handled."""
    from services.commands.dead_letters import list_letters

    run(list_letters(state=state, as_json=as_json))


@letters_app.command(
    "show",
    help=examples(
        "closed-loop dead-letters show ltr_01…", "closed-loop dead-letters show ltr_01… --json"
    ),
)
def letters_show(letter: str, *, as_json: AsJson = False) -> None:
    """Show one parked record with its origin and reason."""
    from services.commands.dead_letters import show_letter

    run(show_letter(letter, as_json=as_json))


@letters_app.command(
    "replay",
    help=examples(
        "closed-loop dead-letters replay --all --dry-run",
        "closed-loop dead-letters replay ltr_01… --reason repaired --by you@example.org",
    ),
)
def letters_replay(
    letter: Annotated[str | None, typer.Argument()] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every parked record.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Go the whole way, take it back, say what would be done.")
    ] = False,
    by: _By = None,
    reason: _Reason = None,
) -> None:
    """Hand parked records to their consumer again; takes effect once."""
    if letter is None and not everything:
        raise typer.BadParameter("Name one letter, or say --all.")
    from services.commands.dead_letters import replay_letters

    run(replay_letters(letter, everything=everything, dry_run=dry_run, by=by, reason=reason))


@letters_app.command(
    "discard",
    help=examples(
        "closed-loop dead-letters discard ltr_01… --yes --reason 'not one of ours'",
        "closed-loop dead-letters show ltr_01…",
    ),
)
def letters_discard(
    letter: str,
    *,
    yes: Annotated[bool, typer.Option(help="Do not ask.")] = False,
    by: _By = None,
    reason: _Reason = None,
) -> None:
    """Give a parked record up."""
    from services.commands.dead_letters import discard_letter

    if not yes and not (sys.stdin.isatty() and typer.confirm("Give this record up for good?")):
        raise Forbidden("Nothing was discarded. Add --yes to discard without being asked.")
    run(discard_letter(letter, by=by, reason=reason))
