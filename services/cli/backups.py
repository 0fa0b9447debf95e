"""``closed-loop backup`` and ``closed-loop restore``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.frame import AsJson, examples, run

if TYPE_CHECKING:
    from collections.abc import Callable

_Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="File of the persons' keys; by default beside the backup."),
]


def add_to(app: typer.Typer) -> None:
    """Add both commands to the program."""
    app.command(
        help=examples(
            "closed-loop backup /backups/2026-11-23",
            "closed-loop backup /backups/today --keys /safe/person-keys.ndjson --json",
        )
        + "\n\nCopy the whole database beside whoever serves, as of one moment."
        "\n\nThe persons' keys go into a file beside the backup; each backup writes it anew, so"
        " that whoever is forgotten later stays so. The installation's secret is in neither."
    )(backup)
    app.command(
        help=examples(
            "closed-loop restore /backups/2026-11-23",
            "closed-loop restore /backups/2026-11-23 --replace --yes",
        )
        + "\n\nPut a backup into an empty database. Stop every process first."
    )(restore)


def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="A folder that is not there yet.")],
    *,
    keys: _Keys = None,
    as_json: AsJson = False,
) -> None:
    """Copy the whole database into a folder."""
    from services.commands.backing_up import back_up

    run(back_up(to.absolute(), keys=keys and keys.absolute(), as_json=as_json))


def restore(
    folder: Annotated[Path, typer.Argument(metavar="FROM", help="A folder of a backup.")],
    *,
    keys: _Keys = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of what is there.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup into an empty database."""
    from services.commands.backing_up import restore as put_back

    run(
        put_back(
            folder.absolute(),
            keys=keys and keys.absolute(),
            replace=replace,
            sure=_sure(yes=yes),
            as_json=as_json,
        )
    )


def _sure(*, yes: bool) -> Callable[[str], bool]:
    def ask(question: str) -> bool:
        return yes or (sys.stdin.isatty() and typer.confirm(question, err=True))

    return ask
