"""Pages: a template, a typed context, and the frame that every page has around it.

A module with pages makes one ``Pages`` for its package and renders frozen dataclasses, whose
members are what the template may name; nothing else is there, and a missing name is an error.
Beside them stand ``frame`` (who is signed in, where one can go), ``reader`` (dates and numbers
in the reader's language and time zone) and gettext.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache, cached_property
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from shared.i18n import SOURCE, Reader, accepted, marked, supported, translations
from shared.identity.principal import Principal, Scope
from shared.web.exposure import cautions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import DataclassInstance
    from starlette.requests import Request


@dataclass(frozen=True, kw_only=True)
class Area:
    """A part of the product in the header: its name, where it is, who may go there."""

    name: str
    path: str
    scope: Scope
    about: str = ""
    """What one does there, where the name alone does not say it."""

    def holds(self, path: str) -> bool:
        """Tell whether a page belongs to this area."""
        if self.path == "/":
            return path == "/" or path.startswith(("/tasks/", "/customers/", "/queue/"))
        return path == self.path or path.startswith(f"{self.path}/")


AREAS: Final = (
    Area(name=marked("My queue"), path="/", scope=Scope.TASKS_READ),
    Area(name=marked("Themes"), path="/themes", scope=Scope.THEMES_READ),
    Area(name=marked("Scores"), path="/scores", scope=Scope.SCORES_READ),
    Area(name=marked("Closure"), path="/closure", scope=Scope.SCORES_READ),
    Area(name=marked("Mail"), path="/mail", scope=Scope.MAIL_READ),
    Area(name=marked("Settings"), path="/settings", scope=Scope.SETTINGS_READ),
)

SETTINGS: Final = (
    Area(
        name=marked("First steps"),
        path="/welcome",
        scope=Scope.SETTINGS_WRITE,
        about=marked("From an empty installation to the first task, one step after the other."),
    ),
    Area(
        name=marked("Organisation"),
        path="/settings/organisation",
        scope=Scope.SETTINGS_READ,
        about=marked("Whose customers these are, and by which clock most people here live."),
    ),
    Area(
        name=marked("People"),
        path="/settings/people",
        scope=Scope.SETTINGS_READ,
        about=marked("Who can sign in, and what each of them may do."),
    ),
    Area(
        name=marked("Sources"),
        path="/settings/sources",
        scope=Scope.SETTINGS_READ,
        about=marked("The systems that send responses, and what became of what they sent."),
    ),
    Area(
        name=marked("Keys"),
        path="/settings/keys",
        scope=Scope.SETTINGS_READ,
        about=marked("What systems identify themselves with: made, replaced and revoked."),
    ),
    Area(
        name=marked("Webhooks"),
        path="/settings/webhooks",
        scope=Scope.DELIVERIES_READ,
        about=marked("The systems that are told what happens, and what arrived there."),
    ),
    Area(
        name=marked("Touchpoints"),
        path="/settings/touchpoints",
        scope=Scope.SETTINGS_READ,
        about=marked("Where customers meet the company, and who answers for it."),
    ),
    Area(
        name=marked("Segments, products, reasons"),
        path="/settings/lists",
        scope=Scope.SETTINGS_READ,
        about=marked("What the codes that systems send are called, and which of them are one."),
    ),
    Area(
        name=marked("Departments"),
        path="/settings/departments",
        scope=Scope.SETTINGS_READ,
        about=marked("The parts of the company, and who heads each of them."),
    ),
    Area(
        name=marked("Schemes"),
        path="/settings/schemes",
        scope=Scope.SETTINGS_READ,
        about=marked("What is promised to customers, and how it is kept: the ten questions."),
    ),
    Area(
        name=marked("Calendars"),
        path="/settings/calendars",
        scope=Scope.SETTINGS_READ,
        about=marked("When somebody is at work: shifts, public holidays, special days."),
    ),
    Area(
        name=marked("Rules"),
        path="/settings/rules",
        scope=Scope.SETTINGS_READ,
        about=marked("Which response opens a task, under which scheme, and for whom."),
    ),
    Area(
        name=marked("Themes and their words"),
        path="/settings/taxonomy",
        scope=Scope.THEMES_READ,
        about=marked("What is looked for in what customers write, and by which words."),
    ),
    Area(
        name=marked("Absences and limits"),
        path="/settings/absences",
        scope=Scope.TASKS_WRITE,
        about=marked("Who is away or has enough to do, and who gets the new tasks instead."),
    ),
    Area(
        name=marked("Privacy"),
        path="/settings/privacy",
        scope=Scope.PERSONS_WRITE,
        about=marked("What is known of a customer: a copy of it for them, or its erasure."),
    ),
    Area(
        name=marked("Dead letters"),
        path="/settings/dead-letters",
        scope=Scope.SETTINGS_READ,
        about=marked("Records that could not be handled: looked at, replayed, discarded."),
    ),
    Area(
        name=marked("Mail delivery"),
        path="/settings/mail",
        scope=Scope.MAIL_READ,
        about=marked("Mails that did not get through, and addresses that are dead."),
    ),
    Area(
        name=marked("Audit trail"),
        path="/settings/audit",
        scope=Scope.AUDIT_READ,
        about=marked("Who did or saw what, and when; nothing in it can be changed."),
    ),
)
"""The pages of settings, whichever service has them, in the order in which they are offered."""


def home_of(person: Principal) -> str:
    """Return where this person begins: the first area that is theirs to open.

    For whoever has none it is the description of the interface, which is open to everybody.
    """
    return next((area.path for area in AREAS if person.may(area.scope)), "/docs")


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What stands around every page."""

    person: Principal | None
    areas: Sequence[Area]
    settings: Sequence[Area]
    """The pages of settings that are this person's to open, on each of them."""
    path: str
    cautions: Sequence[str]
    """What this person should know about who can reach what here."""
    stylesheet: str
    icon: str
    script: str


def reader_of(request: Request) -> Reader:
    """Return the language and time zone to speak in: the person's, else the browser's."""
    person = person_of(request)
    if person is not None:
        return Reader(
            language=person.language if supported(person.language) else SOURCE,
            time_zone=person.time_zone,
        )
    return Reader(language=accepted(request.headers.get("accept-language")))


def done_of(request: Request, texts: Mapping[str, str], reader: Reader) -> str:
    """Return what the form before this page did, as the address names it after a redirect."""
    text = texts.get(request.query_params.get("done", ""))
    return reader.gettext(text) if text else ""


def person_of(request: Request) -> Principal | None:
    """Return who is signed in, as far as the route has asked for it."""
    person = getattr(request.state, "principal", None)
    return person if isinstance(person, Principal) else None


class Pages:
    """Renders the templates of one package, and those that all packages share."""

    def __init__(self, package: str | None = None, folder: str = "templates") -> None:
        self._package = package
        self._folder = folder

    @cached_property
    def loader(self) -> BaseLoader:
        """Return where templates are looked for: the package first, then the shared ones."""
        shared = PackageLoader("shared.web", "templates")
        if self._package is None:
            return shared
        return ChoiceLoader([PackageLoader(self._package, self._folder), shared])

    def render(
        self,
        request: Request,
        name: str,
        context: DataclassInstance,
        *,
        status: int = 200,
        reader: Reader | None = None,
    ) -> HTMLResponse:
        """Return the page ``name`` with the members of ``context``.

        ``reader`` is given where it is known who reads although nobody is signed in.

        It is never stored by the browser or on the way: most pages show customers' words.
        """
        reader = reader or reader_of(request)
        person = person_of(request)
        frame = Frame(
            person=person,
            areas=_open_to(person, AREAS),
            settings=(
                _open_to(person, SETTINGS) if request.url.path.startswith("/settings/") else []
            ),
            path=request.url.path,
            cautions=cautions(request, person),
            stylesheet=static("app.css"),
            icon=static("icon.svg"),
            script=static("app.js"),
        )
        template = _environment(self, reader.catalogue).get_template(name)
        return HTMLResponse(
            template.render(**members_of(context), frame=frame, reader=reader),
            status_code=status,
            headers={
                "Cache-Control": "no-store",
                "Content-Language": reader.catalogue,
                "Vary": "Cookie, Accept-Language",
            },
        )


def _open_to(person: Principal | None, areas: Sequence[Area]) -> Sequence[Area]:
    return [area for area in areas if person is not None and person.may(area.scope)]


def members_of(context: DataclassInstance) -> dict[str, Any]:
    """Return the members of a context by name, each as it is."""
    return {member.name: getattr(context, member.name) for member in fields(context)}


@cache
def _environment(pages: Pages, language: str) -> Environment:
    environment = Environment(
        loader=pages.loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(  # type: ignore[attr-defined] # of the extension
        translations(language), newstyle=True
    )
    return environment


@cache
def static(name: str) -> str:
    """Return the address of a file of ours; it changes with the file's content."""
    content = (files("shared.web") / "static" / name).read_bytes()
    return f"/static/{name}?v={sha256(content).hexdigest()[:12]}"


render = Pages().render
"""Renders the templates that all packages share: signing in, errors."""
