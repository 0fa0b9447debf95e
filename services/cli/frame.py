"""What every command has in common: examples first, one way to run, one way to fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Coroutine

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def examples(*lines: str) -> str:
    """Return the two examples that every help begins with."""
    return "Examples:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)


class Group(TyperGroup):
    """Lists each command with the sentence of its docstring; its help begins otherwise."""

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # click ships inside typer
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.callback is not None:
            command.short_help = (command.callback.__doc__ or "").partition("\n")[0]
        return command


def group(purpose: str, *lines: str) -> typer.Typer:
    """Return a group of commands that fails as plainly as the rest."""
    return typer.Typer(
        cls=Group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        short_help=purpose,
        help=f"{examples(*lines)}\n\n{purpose}",
    )


def run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command's coroutine to its end and leave with its exit code."""
    code = asyncio.run(work)
    if code:
        raise typer.Exit(code)
