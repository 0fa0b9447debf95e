"""The words of a mail: three template files a kind, in the reader's language and time zone.

The one file that knows the mail layout. Templates are strict (a missing value is an error) and
escape everything on the way into HTML; the subject is made of score, touchpoint and time only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_skeleton
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from mjml import mjml2html

from services.notify.domain.alerts import TaskFacts
from services.notify.domain.mail import body_safe, header_safe, wrapped
from shared.consent import Refusal, refused_in
from shared.i18n import SOURCE, Reader, supported, translations

TEMPLATES = Path(__file__).parents[1] / "templates" / "mail"
LONGEST_NAME = 60
_HIGHEST = {"nps": 10, "csat": 5, "ces": 7}
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ()/.-]{3,24}")
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A mail's three parts, in the language they speak."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
    language: str


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Everything that a mail's templates may name."""

    language: str
    what: str
    due: str
    due_in_full: str
    is_late: bool
    facts: tuple[tuple[str, str], ...]
    phone: str
    phone_link: str
    comment: str
    comment_language: str
    is_erased: bool
    do_not_contact: bool
    no_consent: bool
    calls_for_contact: bool
    link: str
    promise: str
    stage: str
    n: int
    remedy: str


@cache
def templates_in(language: str) -> Environment:
    """Return the templates with the messages of one language."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        # Text parts are no markup: escaped, they would be wrong.
        autoescape=select_autoescape(["mjml"], default_for_string=True),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(  # type: ignore[attr-defined] # of the extension
        translations(language), newstyle=True
    )
    environment.filters["columns"] = _columns
    return environment


def shortly(reader: Reader, moment: datetime, now: datetime) -> str:
    """Return when, relative to today: for a subject or a list."""
    time = reader.time(moment)
    match (reader.local(moment).date() - reader.local(now).date()).days:
        case 0:
            return reader.gettext("today %(time)s", time=time)
        case 1:
            return reader.gettext("tomorrow %(time)s", time=time)
        case -1:
            return reader.gettext("yesterday %(time)s", time=time)
        case _:
            day = format_skeleton("MMMEd", reader.local(moment), locale=_locale(reader))
            return reader.gettext("%(date)s, %(time)s", date=day, time=time)


def in_full(reader: Reader, moment: datetime) -> str:
    """Return when, with weekday, year and time zone: for a body."""
    return reader.gettext(
        "%(date)s, %(time)s (%(zone)s)",
        date=format_date(reader.local(moment), "full", locale=_locale(reader)),
        time=reader.time(moment),
        zone=reader.zone.key,
    )


def _locale(reader: Reader) -> str:
    # English with the day first, which nobody reads as a month.
    return "en_GB" if reader.catalogue == SOURCE else reader.catalogue


def _columns(text: str, prefix: str = "") -> str:
    return wrapped(str(text), prefix=prefix)


def render_mail(
    kind: str,
    facts: TaskFacts,
    *,
    person: Mapping[str, Any] | None,
    language: str,
    time_zone: str,
    public_url: str,
    now: datetime,
    refused: Refusal | None = None,
    in_place_of: str | None = None,
) -> Rendered:
    """Return a mail about a task; ``person`` is the opened sealed document, None if erased.

    ``refused`` is what the customer asked not to be done with any of their answers.
    """
    # Dates follow the words: one language a mail, whatever the region in the tag.
    reader = Reader(language=supported(language) or SOURCE, time_zone=time_zone)
    customer: Mapping[str, Any] = (person or {}).get("customer") or {}
    unusable = frozenset((person or {}).get("unusable") or ())

    def contact(name: str) -> str:
        value = _one_line(customer.get(name))
        if not value or name not in unusable:
            return value
        return reader.gettext("%(value)s (not usable)", value=value)

    phone = contact("phone")
    wishes = {refused, refused_in(customer)}
    do_not_contact = "do_not_contact" in wishes
    values = _Values(
        language=reader.catalogue,
        what=what_of(reader, facts),
        due=shortly(reader, facts.deadline, now),
        due_in_full=in_full(reader, facts.deadline),
        is_late=now > facts.deadline,
        facts=tuple(
            (label, value)
            for label, value in (
                (
                    reader.gettext("First contact by"),
                    in_full(reader, facts.first_contact_due_at),
                ),
                (reader.gettext("Done by"), in_full(reader, facts.due_at)),
                (reader.gettext("Customer"), _one_line(customer.get("name"))),
                (reader.gettext("E-mail"), contact("email")),
            )
            if value
        ),
        phone=phone,
        phone_link="" if wishes != {None} or "phone" in unusable else _dialled(phone),
        comment=body_safe(str((person or {}).get("comment") or "")).strip("\n"),
        comment_language=_language_tag(customer.get("language")),
        is_erased=person is None,
        do_not_contact=do_not_contact,
        no_consent="no_consent" in wishes and not do_not_contact,
        calls_for_contact=person is not None and wishes == {None},
        link=f"{public_url}/tasks/{facts.task_id}",
        promise=facts.promise or "",
        stage=facts.stage or "",
        n=facts.n or 0,
        remedy=_one_line(" · ".join(part for part in (facts.remedy, facts.value) if part)),
    )
    return rendered(kind, asdict(values), language=reader.catalogue, in_place_of=in_place_of)


def rendered(
    kind: str, values: Mapping[str, Any], *, language: str, in_place_of: str | None = None
) -> Rendered:
    """Return the three parts of a mail, made of what its templates name.

    ``in_place_of`` names whom the mail was meant for, when it goes to somebody else.
    """
    templates = templates_in(language)
    meant_for = None if in_place_of is None else header_safe(in_place_of, longest=LONGEST_NAME)
    filled = {**values, "meant_for": meant_for}
    subject = header_safe(templates.get_template(f"{kind}/subject.txt").render(filled))
    layout = templates.get_template(f"{kind}/body.mjml").render(filled, subject=subject)
    text = templates.get_template(f"{kind}/body.txt").render(filled)
    return Rendered(
        subject=subject,
        text=text.strip("\n") + "\n",
        html=mjml2html(layout, fonts={}),
        language=language,
    )


def what_of(reader: Reader, facts: TaskFacts) -> str:
    """Return what it is about, as in "4/10 from Doorstep delivery"."""
    highest = _HIGHEST.get(facts.metric)
    score = "" if facts.score is None or highest is None else f"{facts.score}/{highest}"
    touchpoint = header_safe(
        facts.touchpoint_name or facts.touchpoint or "", longest=LONGEST_NAME
    )
    if score and touchpoint:
        return reader.gettext(
            "%(score)s from %(touchpoint)s", score=score, touchpoint=touchpoint
        )
    if touchpoint:
        return reader.gettext("Feedback from %(touchpoint)s", touchpoint=touchpoint)
    return score or reader.gettext("Feedback")


def _one_line(value: object) -> str:
    return header_safe(str(value)) if value is not None else ""


def _dialled(phone: str) -> str:
    """Return what a telephone link dials; empty when the text is no telephone number."""
    if not _TELEPHONE.fullmatch(phone):
        return ""
    return "".join(char for char in phone if char in "+0123456789")


def _language_tag(value: object) -> str:
    return value if isinstance(value, str) and _LANGUAGE_TAG.fullmatch(value) else ""
