"""``closed-loop person``: what is known of a customer, handed out or forgotten."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.frame import AsJson, examples, group, run

if TYPE_CHECKING:
    from collections.abc import Mapping

_Email = Annotated[
    str | None, typer.Option(help="E-mail address; everybody who gave it is meant.")
]
_Id = Annotated[str | None, typer.Option("--id", help="The customer's id; needs --source.")]
_Source = Annotated[str | None, typer.Option(help="Whose id it is.")]
_Response = Annotated[str | None, typer.Option(help="Id of a response of theirs.")]
_Ref = Annotated[str | None, typer.Option(help="The pseudonym that pages and events show.")]
_By = Annotated[
    str | None, typer.Option(help="E-mail address of the member of staff who does it.")
]
_Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait until it is done.")]

person_app = group(
    "What is known of a customer: a copy of it, or its erasure.",
    "closed-loop person export --email maya@example.org --out maya.json",
    "closed-loop person erase --source crm --id C-1",
)


def _named(
    email: str | None,
    customer_id: str | None,
    source: str | None,
    response: str | None,
    ref: str | None,
) -> Mapping[str, str | None]:
    return {
        "email": email,
        "customer_id": customer_id,
        "source": source,
        "response_id": response,
        "ref": ref,
    }


@person_app.command(
    "export",
    help=examples(
        "closed-loop person export --email maya@example.org --out maya.json",
        "closed-loop person export --source crm --id C-1 > c1.json",
    ),
)
def person_export(
    *,
    email: _Email = None,
    customer_id: _Id = None,
    source: _Source = None,
    response: _Response = None,
    ref: _Ref = None,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write it there, for you alone.")
    ] = None,
    by: _By = None,
    wait: _Wait = 600,
) -> None:
    """Hand out all that is known of a person, as JSON."""
    if out is not None and out.exists():
        raise typer.BadParameter("There is such a file already. Name a new one.")
    from services.commands.persons import Wish, do_for_person

    person = _named(email, customer_id, source, response, ref)
    wish = Wish(kind="export", person=person, by=by, out=out, wait=wait)
    run(do_for_person(wish, sure=lambda _persons, _responses: True))


@person_app.command(
    "erase",
    help=examples(
        "closed-loop person erase --email maya@example.org",
        "closed-loop person erase --response rsp_01… --yes --json",
    ),
)
def person_erase(
    *,
    email: _Email = None,
    customer_id: _Id = None,
    source: _Source = None,
    response: _Response = None,
    ref: _Ref = None,
    yes: Annotated[bool, typer.Option(help="Do not ask.")] = False,
    by: _By = None,
    wait: _Wait = 600,
    as_json: AsJson = False,
) -> None:
    """Forget a person for good; scores stay. Ends with a certificate of what was done."""

    def sure(persons: int, responses: int) -> bool:
        if yes:
            return True
        question = (
            f"Forget {persons} person(s) with {responses} response(s)? It cannot be undone."
        )
        return sys.stdin.isatty() and typer.confirm(question, err=True)

    from services.commands.persons import Wish, do_for_person

    person = _named(email, customer_id, source, response, ref)
    wish = Wish(kind="erasure", person=person, by=by, wait=wait, as_json=as_json)
    run(do_for_person(wish, sure=sure))
