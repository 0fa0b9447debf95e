"""``closed-loop audit``: who did or saw what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from services.cli.frame import AsJson, examples, group, run

_DAYS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

audit_app = group(
    "Who did or saw what, and whether the trail is whole.",
    "closed-loop audit list --action 'key.*'",
    "closed-loop audit verify",
)


@audit_app.command(
    "list",
    help=examples(
        "closed-loop audit list --actor ana@example.org --limit 20",
        "closed-loop audit list --action person.viewed --subject per_01… --json",
    ),
)
def audit_list(
    *,
    actor: Annotated[
        str | None, typer.Option(help="Id or address of a person, id of a key, or system.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(help="A name such as key.revoked, or key.*")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="The id of what it was done to.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=_DAYS, help="From this moment on (UTC).")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAYS, help="Before this moment (UTC).")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List who did or saw what, the latest first."""
    from services.commands.auditing import list_entries

    run(
        list_entries(
            actor=actor,
            action=action,
            subject=subject,
            since=since,
            until=until,
            limit=limit,
            as_json=as_json,
        )
    )


@audit_app.command(
    "verify",
    help=examples(
        "closed-loop audit verify --json",
        "closed-loop audit verify --head 1042:7f3a…",
    )
    + "\n\nRecount the trail line by line, and look at what protects it. Ends with 1 when a"
    " line was changed, removed or put in, or when somebody could do so."
    "\n\nIt prints the head of the sealed trail. Keep it elsewhere and give it with --head"
    " the next time: then it also shows when the end of the trail was taken away.",
)
def audit_verify(
    *,
    head: Annotated[str | None, typer.Option(help="Where the trail ended before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a line of the trail was changed, removed or put in."""
    from services.commands.auditing import verify_trail

    run(verify_trail(head=head, as_json=as_json))
