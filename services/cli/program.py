"""The program: its own commands, those of its parts, and how it ends."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal

import typer

from services.cli import backups
from services.cli.audit import audit_app
from services.cli.frame import AsJson, Group, examples, run
from services.cli.letters import letters_app
from services.cli.people import key_app, user_app
from services.cli.persons import person_app
from services.cli.retention import retention_app
from services.cli.sample import sample_app
from services.cli.secrets import secret_app
from services.cli.sources import source_app
from services.cli.themes import themes_app
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

app = typer.Typer(
    name="closed-loop",
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help=examples("closed-loop demo", "closed-loop serve --help")
    + "\n\nClosed Loop: every detractor gets an answer, every theme an owner.",
)
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")
app.add_typer(source_app, name="source")
app.add_typer(letters_app, name="dead-letters")
app.add_typer(person_app, name="person")
app.add_typer(retention_app, name="retention")
app.add_typer(sample_app, name="sample")
app.add_typer(themes_app, name="themes")
app.add_typer(audit_app, name="audit")
app.add_typer(secret_app, name="secret")
backups.add_to(app)


@app.command(
    help=examples("closed-loop demo", "CLOSED_LOOP_PORT=8080 closed-loop demo")
    + "\n\nStart everything in one process, with sample data posted through the API."
)
def demo() -> None:
    """Start everything in one process, with sample data."""
    from services.commands.demonstrating import demonstrate

    run(demonstrate())


@app.command(
    help=examples("closed-loop serve", "closed-loop serve --role ingest --port 8001")
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

    run(serve_role(role, host=host, port=port))


@app.command(
    help=examples(
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

    run(bring_up_to_date(grant=grant, partitions=partitions))


@app.command(
    help=examples("closed-loop check", "closed-loop check --deep --json")
    + "\n\nLook at secret, database, clock, bus and disk; one line each."
)
def check(
    *,
    deep: Annotated[bool, typer.Option(help="Read the whole database too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the installation."""
    from services.commands.operating import check_installation

    run(check_installation(deep=deep, as_json=as_json))


@app.command(
    "import",
    help=examples(
        "closed-loop import answers.csv --source crm --dry-run",
        "closed-loop import answers.csv --source crm --map map.yaml --as-new",
    )
    + "\n\nTake a file of responses through the whole loop, every row accounted for."
    "\n\nWithout --map the columns are guessed and shown; --guess > map.yaml writes the guesses"
    " down. Interrupted, the same command goes on where it was.",
)
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or NDJSON.")],
    *,
    source: Annotated[str, typer.Option(help="The source the responses belong to.")] = "import",
    mapping: Annotated[
        Path | None,
        typer.Option("--map", exists=True, dir_okay=False, help="How columns become members."),
    ] = None,
    guess: Annotated[
        bool, typer.Option("--guess", help="Print the guessed mapping, import nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Accept guesses that are not certain.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Check every row, record nothing.")] = False,
    as_new: Annotated[
        bool, typer.Option(help="Treat old answers as if they were given today.")
    ] = False,
    encoding: Annotated[
        str | None, typer.Option(help="How the file is encoded, e.g. windows-1252.")
    ] = None,
    time_zone: Annotated[
        str, typer.Option(help="Of dates without an offset, e.g. Europe/Copenhagen.")
    ] = "UTC",
    report: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the rejected rows there.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Where an interrupted import is remembered."),
    ] = None,
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
    from services.commands.importing import Wishes, import_file

    run(
        import_file(
            Wishes(
                file=file,
                source=source,
                mapping=mapping,
                guess=guess,
                yes=yes,
                dry_run=dry_run,
                as_new=as_new,
                encoding=encoding,
                time_zone=time_zone,
                report=report,
                state=state,
                url=url,
                key=key,
                as_json=as_json,
            )
        )
    )


@app.command(
    help=examples("closed-loop replay", "closed-loop replay --status --json")
    + "\n\nRead every stored comment again by the taxonomy in use, and wait until that is done."
    "\n\nBeside a running installation or without one; interrupted, the same command goes on"
    " where it was. --status only says how far the latest one is."
)
def replay(
    *,
    status: Annotated[bool, typer.Option(help="Only say how far the latest one is.")] = False,
    by: Annotated[
        str | None, typer.Option(help="E-mail address of the member of staff who does it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read history again by the taxonomy in use."""
    from services.commands.replaying import replay_history, say_how_far

    run(say_how_far(as_json=as_json) if status else replay_history(by=by, as_json=as_json))


@app.command(
    help=examples("closed-loop openapi > openapi.json", "closed-loop openapi | head")
    + "\n\nPrint the API's OpenAPI document."
)
def openapi() -> None:
    """Print the OpenAPI document."""
    from services.commands.operating import print_openapi

    run(print_openapi())


@app.command(
    help=examples("closed-loop bench", "closed-loop bench --only post --json")
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

    run(measure(only=only, rounds=rounds, as_json=as_json))


EXIT_CODES: tuple[tuple[type[ClosedLoopError], int], ...] = (
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
        code = next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)
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
