"""``closed-loop themes``: what the taxonomy finds, without an installation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli.frame import examples, group

themes_app = group(
    "Classify comments, and find what is new in them.",
    "closed-loop themes classify < comments.jsonl",
    "closed-loop themes discover --taxonomy ours.json < comments.jsonl",
)


@themes_app.command(
    "classify",
    help=examples(
        "closed-loop themes classify < comments.jsonl",
        "closed-loop themes classify --taxonomy ours.json < comments.jsonl",
    )
    + '\n\nReads JSON lines {"id","text","lang"}, writes one line per input, in order.',
)
def themes_classify(
    taxonomy: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Taxonomy file (JSON).")
    ] = None,
) -> None:
    """Classify comments from standard input."""
    from services.commands.classifying import classify

    code = classify(taxonomy, sys.stdin.buffer, sys.stdout, sys.stderr)
    if code:
        raise typer.Exit(code)


@themes_app.command(
    "discover",
    help=examples(
        "closed-loop themes discover < comments.jsonl",
        "closed-loop themes discover --taxonomy ours.json < comments.jsonl",
    )
    + '\n\nReads JSON lines {"id","text","lang"}, writes the group of each that no theme'
    " covers, in order.",
)
def themes_discover(
    taxonomy: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Taxonomy file (JSON).")
    ] = None,
) -> None:
    """Group what no theme covers, from standard input."""
    from services.commands.discovering import discover

    code = discover(taxonomy, sys.stdin.buffer, sys.stdout, sys.stderr)
    if code:
        raise typer.Exit(code)
