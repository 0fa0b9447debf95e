"""``closed-loop source``: the systems that post to us, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli.frame import AsJson, examples, group, run

source_app = group(
    "Systems that post responses.",
    "closed-loop source list",
    "closed-loop source try shop payload.json",
)

_Name = Annotated[str, typer.Argument(help="The source, as its keys are named.")]
_Sender = Annotated[str | None, typer.Option(help="A ready mapping, such as typeform.")]
_Mapping = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A mapping of its own (YAML or JSON)."),
]


@source_app.command(
    "list", help=examples("closed-loop source list", "closed-loop source list --json")
)
def source_list(*, as_json: AsJson = False) -> None:
    """List sources, when each last delivered and what became of it."""
    from services.commands.sources import list_sources

    run(list_sources(as_json=as_json))


@source_app.command(
    "show", help=examples("closed-loop source show shop", "closed-loop source show shop --json")
)
def source_show(name: _Name, *, as_json: AsJson = False) -> None:
    """Show the settings and figures of one source."""
    from services.commands.sources import show_source

    run(show_source(name, as_json=as_json))


@source_app.command(
    "set",
    help=examples(
        "closed-loop source set shop --sender woocommerce --silent-after-hours 24",
        "closed-loop source set shop --clear sender --mapping shop.yaml",
    )
    + "\n\nWhat is not named stays as it is.",
)
def source_set(
    name: _Name,
    *,
    sender: _Sender = None,
    mapping: _Mapping = None,
    namespace: Annotated[
        str | None, typer.Option(help="Where its customers' ids count.")
    ] = None,
    silent_after_hours: Annotated[
        int | None, typer.Option(min=1, max=8_760, help="Tell somebody after so long.")
    ] = None,
    clear: Annotated[
        list[str] | None, typer.Option(help="A setting to set back; repeatable.")
    ] = None,
) -> None:
    """Change how a source is read and watched."""
    from services.commands.sources import set_source

    given = {
        "sender": sender,
        "namespace": namespace,
        "silent_after_hours": silent_after_hours,
    }
    run(set_source(name, given=given, mapping=mapping, clear=clear or []))


@source_app.command(
    "try",
    help=examples(
        "closed-loop source try shop payload.json",
        "closed-loop source try shop payload.json --mapping shop.yaml --json",
    )
    + "\n\nRecords nothing. Exit code 1 when something would be rejected.",
)
def source_try(
    name: _Name,
    payload: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A body as it is sent.")
    ],
    *,
    sender: _Sender = None,
    mapping: _Mapping = None,
    content_type: Annotated[
        str, typer.Option(help="What the sender says it is.")
    ] = "application/json",
    as_json: AsJson = False,
) -> None:
    """Say what a source's mapping makes of a payload."""
    from services.commands.sources import try_source

    run(
        try_source(
            name,
            payload,
            sender=sender,
            mapping=mapping,
            content_type=content_type,
            as_json=as_json,
        )
    )
