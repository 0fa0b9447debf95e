"""``closed-loop user`` and ``closed-loop key``: who may come in, as a person or a system."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli.frame import AsJson, examples, group, run

user_app = group(
    "People who sign in.", "closed-loop user list", "closed-loop user add ana@example.org"
)
key_app = group(
    "API keys of posting systems.",
    "closed-loop key list",
    "closed-loop key create --source crm",
)


@user_app.command(
    "add",
    help=examples(
        "closed-loop user add ana@example.org --name 'Ana Ruiz'",
        "closed-loop user add ole@example.org --role lead --team 'Customer care'",
    ),
)
def user_add(
    email: str,
    name: Annotated[str | None, typer.Option(help="The name that others see.")] = None,
    role: Annotated[
        str, typer.Option(help="agent, lead, department_head, cx_manager, admin …")
    ] = "agent",
    team: Annotated[list[str] | None, typer.Option(help="Team to join; repeatable.")] = None,
    language: Annotated[str, typer.Option(help="Language of pages and mail.")] = "en",
    time_zone: Annotated[str, typer.Option(help="For example Europe/Berlin.")] = "UTC",
) -> None:
    """Add a person; prints a first password once."""
    from services.commands.people import add_user

    run(
        add_user(
            email,
            name=name,
            role=role,
            teams=team or [],
            language=language,
            time_zone=time_zone,
        )
    )


@user_app.command(
    "list", help=examples("closed-loop user list", "closed-loop user list --json")
)
def user_list(*, as_json: AsJson = False) -> None:
    """List people."""
    from services.commands.people import list_users

    run(list_users(as_json=as_json))


@user_app.command(
    "reset",
    help=examples(
        "closed-loop user reset ana@example.org",
        "closed-loop user reset ana@example.org --without-second-factor",
    ),
)
def user_reset(
    email: str,
    *,
    without_second_factor: Annotated[
        bool,
        typer.Option("--without-second-factor", help="Also switch the second factor off."),
    ] = False,
) -> None:
    """Set a new password, print it once, end the person's sessions."""
    from services.commands.people import reset_user

    run(reset_user(email, without_second_factor=without_second_factor))


@user_app.command(
    "disable",
    help=examples(
        "closed-loop user disable ana@example.org",
        "python -m services user disable ana@example.org",
    ),
)
def user_disable(email: str) -> None:
    """Let a person sign in no more."""
    from services.commands.people import disable_user

    run(disable_user(email))


@user_app.command(
    "enable",
    help=examples(
        "closed-loop user enable ana@example.org",
        "python -m services user enable ana@example.org",
    ),
)
def user_enable(email: str) -> None:
    """Let a person sign in again, by the password they had."""
    from services.commands.people import enable_user

    run(enable_user(email))


@user_app.command(
    "unlink",
    help=examples(
        "closed-loop user unlink ana@example.org",
        "python -m services user unlink ana@example.org",
    ),
)
def user_unlink(email: str) -> None:
    """Forget whom single sign-on takes a person for; the next sign-in there decides anew."""
    from services.commands.people import unlink_user

    run(unlink_user(email))


@key_app.command(
    "create",
    help=examples(
        "closed-loop key create --source crm",
        "closed-loop key create --source desk --scope tasks:read --scope tasks:write",
    ),
)
def key_create(
    source: Annotated[str, typer.Option(help="The system that will use the key.")],
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="A right; repeatable.")] = None,
    *,
    test: Annotated[
        bool, typer.Option("--test", help="What is posted with it opens no task.")
    ] = False,
) -> None:
    """Create an API key; prints it once."""
    from services.commands.people import create_api_key

    run(create_api_key(source, name=name, scopes=scope or ["responses:write"], test=test))


@key_app.command(
    "rotate",
    help=examples(
        "closed-loop key rotate key_01…", "closed-loop key rotate key_01… --overlap-hours 1"
    ),
)
def key_rotate(
    key_id: str,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=720, help="So long the former key goes on.")
    ] = 24,
) -> None:
    """Make a key in the place of another; prints it once."""
    from services.commands.people import rotate_api_key

    run(rotate_api_key(key_id, overlap_hours=overlap_hours))


@key_app.command("list", help=examples("closed-loop key list", "closed-loop key list --json"))
def key_list(*, as_json: AsJson = False) -> None:
    """List API keys, without the keys themselves."""
    from services.commands.people import list_api_keys

    run(list_api_keys(as_json=as_json))


@key_app.command(
    "revoke",
    help=examples("closed-loop key revoke key_01…", "closed-loop key list  # shows the ids"),
)
def key_revoke(key_id: str) -> None:
    """Revoke an API key at once."""
    from services.commands.people import revoke_api_key

    run(revoke_api_key(key_id))
