"""``closed-loop secret``: replacing the installation's secret."""

from __future__ import annotations

from services.cli.frame import AsJson, examples, group, run

secret_app = group(
    "The secret that everything is sealed under.",
    "closed-loop secret rewrap",
    "closed-loop secret rewrap --json",
)


@secret_app.callback()
def secret() -> None:
    """Replace the installation's secret."""


@secret_app.command(
    "rewrap",
    help=examples("closed-loop secret rewrap", "closed-loop secret rewrap --json")
    + "\n\nBring what is sealed under CLOSED_LOOP_SECRET_PREVIOUS under CLOSED_LOOP_SECRET."
    "\n\nStart every process with both first. Interrupted, the same command goes on where it"
    " was; it says when the former secret may go.",
)
def secret_rewrap(*, as_json: AsJson = False) -> None:
    """Bring everything under the new secret."""
    from services.commands.secrets import rewrap

    run(rewrap(as_json=as_json))
