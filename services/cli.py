"""The command line: how each command is called. What it does stands in ``services/commands``.

Data go to standard output, talk goes to standard error. Exit codes: 0 ok, 1 failed, 2 usage,
3 not found, 4 refused, 75 try later.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup
from typing_extensions import override

from shared.errors import (
    ClosedLoopError,
    Conflict,
    Forbidden,
    Invalid,
    Misconfigured,
    NotFound,
    Refused,
    TryLater,
    Unauthenticated,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine


def _examples(*lines: str) -> str:
    """Return the two examples that every help begins with."""
    return "Examples:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)


class _Group(TyperGroup):
    """Lists each command with the sentence of its docstring; its help begins otherwise."""

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # click ships inside typer
        command = super().get_command(ctx, cmd_name)
        if command is not None and command.callback is not None:
            command.short_help = (command.callback.__doc__ or "").partition("\n")[0]
        return command


app = typer.Typer(
    name="closed-loop",
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=_examples("closed-loop demo", "closed-loop serve --help")
    + "\n\nClosed Loop: every detractor gets an answer, every theme an owner.",
)


def _group(purpose: str, *examples: str) -> typer.Typer:
    """Return a group of commands that fails as plainly as the rest."""
    return typer.Typer(
        cls=_Group,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        short_help=purpose,
        help=f"{_examples(*examples)}\n\n{purpose}",
    )


user_app = _group(
    "People who sign in.", "closed-loop user list", "closed-loop user add ana@example.org"
)
key_app = _group(
    "API keys of posting systems.",
    "closed-loop key list",
    "closed-loop key create --source crm",
)
letters_app = _group(
    "Records that could not be handled.",
    "closed-loop dead-letters list",
    "closed-loop dead-letters replay --all",
)
themes_app = _group(
    "Classify comments without a database.",
    "closed-loop themes classify < comments.jsonl",
    "closed-loop themes classify --taxonomy ours.json < comments.jsonl",
)
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(themes_app, name="themes")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def _run(work: Coroutine[Any, Any, int | None]) -> None:
    """Run a command's coroutine to its end and leave with its exit code."""
    code = asyncio.run(work)
    if code:
        raise typer.Exit(code)


@app.command(
    help=_examples("closed-loop demo", "CLOSED_LOOP_PORT=8080 closed-loop demo")
    + "\n\nStart everything in one process, with sample data posted through the API."
)
def demo() -> None:
    """Start everything in one process, with sample data."""
    from services.commands.demonstrating import demonstrate

    _run(demonstrate())


@app.command(
    help=_examples("closed-loop serve", "closed-loop serve --role ingest --port 8001")
    + "\n\nServe the pages, the API and the workers of one role or of all."
)
def serve(
    role: Annotated[
        Literal["all", "ingest", "loop", "notify"], typer.Option(help="What to serve.")
    ] = "all",
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on.")
    ] = None,
) -> None:
    """Serve one role or all."""
    from services.commands.serving import serve_role

    _run(serve_role(role, host=host, port=port))


@app.command(
    help=_examples(
        "closed-loop migrate",
        "closed-loop migrate --grant ingest=cl_ingest,loop=cl_loop,notify=cl_notify",
    )
    + "\n\nMake or update the tables, create the topics, give the roles' users their rights."
)
def migrate(
    grant: Annotated[
        str | None, typer.Option(help="ROLE=USER pairs, comma separated (PostgreSQL).")
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of a new topic.")] = 6,
) -> None:
    """Bring tables, topics and rights up to date."""
    from services.commands.operating import bring_up_to_date

    _run(bring_up_to_date(grant=grant, partitions=partitions))


@app.command(
    help=_examples("closed-loop check", "closed-loop check --deep --json")
    + "\n\nLook at secret, database, clock, bus and disk; one line each."
)
def check(
    *,
    deep: Annotated[bool, typer.Option(help="Read the whole database too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the installation."""
    from services.commands.operating import check_installation

    _run(check_installation(deep=deep, as_json=as_json))


@app.command(
    "import",
    help=_examples(
        "closed-loop import answers.csv --source crm",
        "closed-loop import answers.csv --source crm --map map.yml --as-new",
    )
    + "\n\nTake a file of responses through the whole loop, every row accounted for.",
)
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or NDJSON.")],
    *,
    source: Annotated[str, typer.Option(help="The source the responses belong to.")] = "import",
    mapping: Annotated[
        Path | None,
        typer.Option("--map", exists=True, dir_okay=False, help="How columns become members."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Check every row, record nothing.")] = False,
    as_new: Annotated[
        bool, typer.Option(help="Treat old answers as if they were given today.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="Post to a running installation instead.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="CLOSED_LOOP_KEY", help="API key for --url.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import a file of responses."""
    if url and not key:
        raise typer.BadParameter("--url needs --key (or CLOSED_LOOP_KEY): a key of the source.")
    from services.commands.importing import import_file

    _run(
        import_file(
            file,
            source=source,
            mapping=mapping,
            dry_run=dry_run,
            as_new=as_new,
            url=url,
            key=key,
            as_json=as_json,
        )
    )


@user_app.command(
    "add",
    help=_examples(
        "closed-loop user add ana@example.org --name 'Ana Ruiz'",
        "closed-loop user add ole@example.org --role lead --team 'Customer care'",
    ),
)
def user_add(
    email: str,
    name: Annotated[str | None, typer.Option(help="The name that others see.")] = None,
    role: Annotated[str, typer.Option(help="staff, lead, head, board, admin …")] = "staff",
    team: Annotated[list[str] | None, typer.Option(help="Team to join; repeatable.")] = None,
    language: Annotated[str, typer.Option(help="Language of pages and mail.")] = "en",
    time_zone: Annotated[str, typer.Option(help="For example Europe/Berlin.")] = "UTC",
) -> None:
    """Add a person; prints a first password once."""
    from services.commands.people import add_user

    _run(
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
    "list", help=_examples("closed-loop user list", "closed-loop user list --json")
)
def user_list(*, as_json: AsJson = False) -> None:
    """List people."""
    from services.commands.people import list_users

    _run(list_users(as_json=as_json))


@user_app.command(
    "reset",
    help=_examples(
        "closed-loop user reset ana@example.org",
        "python -m services user reset ana@example.org",
    ),
)
def user_reset(email: str) -> None:
    """Set a new password, print it once, end the person's sessions."""
    from services.commands.people import reset_user

    _run(reset_user(email))


@user_app.command(
    "disable",
    help=_examples(
        "closed-loop user disable ana@example.org",
        "python -m services user disable ana@example.org",
    ),
)
def user_disable(email: str) -> None:
    """Let a person sign in no more."""
    from services.commands.people import disable_user

    _run(disable_user(email))


@key_app.command(
    "create",
    help=_examples(
        "closed-loop key create --source crm",
        "closed-loop key create --source desk --scope tasks:read --scope tasks:write",
    ),
)
def key_create(
    source: Annotated[str, typer.Option(help="The system that will use the key.")],
    name: Annotated[str, typer.Option(help="What the key is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="A right; repeatable.")] = None,
) -> None:
    """Create an API key; prints it once."""
    from services.commands.people import create_api_key

    _run(create_api_key(source, name=name, scopes=scope or ["responses:write"]))


@key_app.command("list", help=_examples("closed-loop key list", "closed-loop key list --json"))
def key_list(*, as_json: AsJson = False) -> None:
    """List API keys, without the keys themselves."""
    from services.commands.people import list_api_keys

    _run(list_api_keys(as_json=as_json))


@key_app.command(
    "revoke",
    help=_examples("closed-loop key revoke key_01…", "closed-loop key list  # shows the ids"),
)
def key_revoke(key_id: str) -> None:
    """Revoke an API key at once."""
    from services.commands.people import revoke_api_key

    _run(revoke_api_key(key_id))


@letters_app.command(
    "list",
    help=_examples("closed-loop dead-letters list", "closed-loop dead-letters list --json"),
)
def letters_list(
    *,
    state: Annotated[str, typer.Option(help="parked, replayed, discarded or all.")] = "parked",
    as_json: AsJson = False,
) -> None:
    """List records that could not be handled."""
    from services.commands.dead_letters import list_letters

    _run(list_letters(state=state, as_json=as_json))


@letters_app.command(
    "show",
    help=_examples(
        "closed-loop dead-letters show ltr_01…", "closed-loop dead-letters show ltr_01… --json"
    ),
)
def letters_show(letter: str, *, as_json: AsJson = False) -> None:
    """Show one parked record with its origin and reason."""
    from services.commands.dead_letters import show_letter

    _run(show_letter(letter, as_json=as_json))


@letters_app.command(
    "replay",
    help=_examples(
        "closed-loop dead-letters replay ltr_01…",
        "closed-loop dead-letters replay --all --dry-run",
    ),
)
def letters_replay(
    letter: Annotated[str | None, typer.Argument()] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every parked record.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done.")] = False,
) -> None:
    """Hand parked records to their consumer again; takes effect once."""
    if letter is None and not everything:
        raise typer.BadParameter("Name one letter, or say --all.")
    from services.commands.dead_letters import replay_letters

    _run(replay_letters(letter, everything=everything, dry_run=dry_run))


@letters_app.command(
    "discard",
    help=_examples(
        "closed-loop dead-letters discard ltr_01… --yes",
        "closed-loop dead-letters show ltr_01…",
    ),
)
def letters_discard(
    letter: str, *, yes: Annotated[bool, typer.Option(help="Do not ask.")] = False
) -> None:
    """Give a parked record up."""
    from services.commands.dead_letters import discard_letter

    if not yes and not (sys.stdin.isatty() and typer.confirm("Give this record up for good?")):
        raise Forbidden("Nothing was discarded. Add --yes to discard without being asked.")
    _run(discard_letter(letter))


@themes_app.command(
    "classify",
    help=_examples(
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


@app.command(
    help=_examples("closed-loop openapi > openapi.json", "closed-loop openapi | head")
    + "\n\nPrint the API's OpenAPI document."
)
def openapi() -> None:
    """Print the OpenAPI document."""
    from services.commands.operating import print_openapi

    _run(print_openapi())


@app.command(
    help=_examples("closed-loop bench", "closed-loop bench --only post --json")
    + "\n\nMeasure this machine: ratios against baselines of the same run."
)
def bench(
    *,
    only: Annotated[str | None, typer.Option(help="Only rows whose name holds this.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Alternating runs per row.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure ratios against baselines."""
    from services.bench.run import bench as measure

    _run(measure(only=only, rounds=rounds, as_json=as_json))


_EXIT_CODES: tuple[tuple[type[ClosedLoopError], int], ...] = (
    (NotFound, 3),
    (Conflict, 4),
    (Forbidden, 4),
    (Unauthenticated, 4),
    (Misconfigured, 4),
    (Invalid, 1),
    (Refused, 1),
    (TryLater, 75),
)


def main() -> None:
    """Run the command line; turn our errors into a sentence and an exit code."""
    try:
        app()
    except ClosedLoopError as error:
        sys.stderr.write(f"closed-loop: {error}\n")
        for finding in error.findings if isinstance(error, Invalid) else ():
            sys.stderr.write(
                f"closed-loop: {finding.pointer or '/'}: {finding.detail} {finding.fix}\n"
            )
        code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
        raise SystemExit(code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of our output went away; Python must not complain about it at exit.
        sys.stderr.close()
        raise SystemExit(1) from None
    except Exception as error:  # noqa: BLE001 - the process's last resort, argued below
        # Nobody stands above this: what is not caught here, Python prints as a trace, which
        # tells an operator nothing and may show what was posted. It ends the process all the
        # same, so no error is survived by mistake.
        sys.stderr.write(_last_words(error))
        raise SystemExit(1) from None


def _last_words(error: Exception) -> str:
    """Return what is said of an error that nobody foresaw; its trace is for debugging."""
    from shared.settings import Settings

    try:
        whole = Settings.load().log_level == "debug"
    except Misconfigured:
        whole = False
    trace = "".join(traceback.format_exception(error)) if whole else ""
    advice = "" if whole else " To see where, run it again with CLOSED_LOOP_LOG_LEVEL=debug."
    return (
        f"{trace}closed-loop: This is a defect of Closed Loop ({type(error).__name__})."
        f"{advice}\n"
    )


if __name__ == "__main__":
    main()
