"""Mails word by word: every kind in every language, compared with what was agreed on.

After a wanted change: ``CLOSED_LOOP_TEST_GOLDEN=write pytest tests/golden``, and read the diff.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.channels.account_texts import render_reset
from services.notify.channels.customer_texts import render_question
from services.notify.channels.message import build_mail
from services.notify.channels.source_texts import render_source
from services.notify.channels.summaries import render_summary
from services.notify.channels.texts import Rendered, render_mail
from services.notify.channels.theme_texts import render_theme
from services.notify.domain.accounts import ResetFacts
from services.notify.domain.alerts import MAIL_KINDS, SUMMARY_KINDS, TaskFacts
from services.notify.domain.customers import QuestionFacts
from services.notify.domain.gathering import Summary
from services.notify.domain.mail import Sender
from services.notify.domain.sources import SourceFacts
from services.notify.domain.themes import ThemeFacts
from shared.identity.owners import Owner

FOLDER = Path(__file__).parent / "mails"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PUBLIC_URL = "https://loop.example.org"
FACTS = TaskFacts(
    event_id="evt_1",
    type="task.opened",
    happened_at=NOW,
    task_id="tsk_01jqzv8m3x7f5k2n9r4t6w8y0a",
    response_id="rsp_1",
    version=1,
    state="assigned",
    owner_id="team_customer_care",
    owner_kind="team",
    metric="nps",
    score=4,
    touchpoint="Doorstep delivery",
    segment=None,
    product=None,
    opened_at=NOW,
    first_contact_due_at=NOW + 8 * HOUR,
    due_at=NOW + 24 * HOUR,
    person_ref="per_1",
)
PERSON: dict[str, Any] = {
    "customer": {
        "name": "Ana <b>Berg</b>",
        "phone": "+44 20 7946 0001",
        "email": "ana@example.org",
        "language": "en-GB",
    },
    "comment": "I waited from eight to twelve & nobody came, although the message said"
    " before ten.\n\nSee https://shop.example/orders/4711 <script>alert(1)</script>\n",
}
MOMENTS = {
    "task.opened": NOW,
    "task.due-soon": NOW + 7 * HOUR,
    "task.overdue": NOW + 25 * HOUR,
    "task.escalated": NOW + 25 * HOUR,
    "task.reopened": NOW + 20 * HOUR,
    "task.promise-due": NOW + 20 * HOUR,
    "task.approval-asked": NOW + 2 * HOUR,
    "task.recognised": NOW + 30 * HOUR,
}


def rendered(event_type: str, language: str, **changes: Any) -> Rendered:
    given: dict[str, Any] = {"person": PERSON, "now": MOMENTS[event_type], **changes}
    facts = given.pop("facts", FACTS)
    moment = MOMENTS[event_type]
    return render_mail(
        MAIL_KINDS[event_type],
        replace(facts, type=event_type, happened_at=moment),
        language=language,
        time_zone="Europe/Berlin",
        public_url=PUBLIC_URL,
        **given,
    )


def summed_up(event_type: str, language: str, number: int, **changes: Any) -> Rendered:
    """Return the mail about so many tasks of an import."""
    moment = MOMENTS[event_type]
    tasks = [
        replace(
            FACTS,
            type=event_type,
            happened_at=moment,
            task_id=f"{FACTS.task_id[:-2]}{n:02}",
            score=(4, 0, None, 6, 2, 3, 5)[n % 7],
            touchpoint=("Doorstep delivery", "Support <call>", None)[n % 3],
            first_contact_due_at=FACTS.first_contact_due_at + (n % 4) * HOUR,
            due_at=FACTS.due_at + (n % 4) * HOUR,
        )
        for n in range(number)
    ]
    return render_summary(
        SUMMARY_KINDS[event_type],
        Summary(tasks=tuple(tasks)),
        language=language,
        time_zone="Europe/Berlin",
        public_url=PUBLIC_URL,
        now=moment,
        **changes,
    )


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("event_type", MAIL_KINDS)
def test_the_mail_says_what_was_agreed_on(event_type: str, language: str) -> None:
    compare(rendered(event_type, language), f"{MAIL_KINDS[event_type]}.{language}.txt")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("event_type", SUMMARY_KINDS)
def test_the_summary_says_what_was_agreed_on(event_type: str, language: str) -> None:
    kind = SUMMARY_KINDS[event_type]
    compare(summed_up(event_type, language, 12), f"{kind}.{language}.txt")
    compare(summed_up(event_type, language, 1), f"{kind}.one.{language}.txt")


def test_a_mail_in_somebodys_place_says_in_whose() -> None:
    name = "Ole <b>Lund"
    compare(rendered("task.opened", "en", in_place_of=name), "task_opened.in_place.en.txt")
    summary = summed_up("task.overdue", "en", 12, in_place_of=name)
    compare(summary, "tasks_overdue.in_place.en.txt")
    for event_type in MAIL_KINDS:
        mail = rendered(event_type, "en", in_place_of=name)
        assert "meant for Ole <b>Lund" in mail.text
        assert "meant for Ole &lt;b&gt;Lund" in mail.html
        assert "you, or a team you belong to, are responsible" not in mail.text + mail.html


def test_whoever_has_no_name_any_more_is_a_colleague() -> None:
    mail = rendered("task.opened", "en", in_place_of="")
    assert "This mail was meant for a colleague" in mail.text
    assert "This mail was meant for a colleague" in mail.html


def to_customer(language: str, **changes: Any) -> Rendered:
    """Return the mail that asks a customer whether it is settled."""
    facts = QuestionFacts(
        event_id="evt_1",
        type="task.resolved",
        task_id=FACTS.task_id,
        version=7,
        resolution=7,
        expires_at=NOW + 336 * HOUR,
        owner_id="team_customer_care",
        owner_kind="team",
        resolved_by="stf_1",
        language=language,
        touchpoint="Doorstep <delivery>",
    )
    return render_question(
        replace(facts, **changes),
        person=PERSON,
        contact=Owner(id="stf_1", name="Ole Lund", kind="person", email="ole@example.org"),
        sender=Sender(name="Closed Loop", address="loop@example.org"),
        link=f"{PUBLIC_URL}/settled/{FACTS.task_id}.7~1773651600~" + "0" * 32,
    )


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_question_to_a_customer_says_what_was_agreed_on(language: str) -> None:
    compare(to_customer(language), f"customer_settled.{language}.txt")


@pytest.mark.parametrize("stage", ["given", "due_soon", "overdue"])
def test_a_promised_action_says_what_to_do(stage: str) -> None:
    facts = replace(FACTS, promise="action", stage=stage, n=2, due_at=NOW + 21 * HOUR)
    now = NOW + 22 * HOUR if stage == "overdue" else NOW + 20 * HOUR
    mail = rendered("task.promise-due", "en", facts=facts, now=now)
    assert "Action 2, agreed with the customer" in " ".join(mail.text.split())


def test_the_question_to_a_customer_holds_no_word_of_what_went_wrong() -> None:
    mail = to_customer("en", touchpoint=None)
    assert "Ana &lt;b&gt;Berg" in mail.html
    assert "I waited from eight" not in mail.text + mail.html


def of_source(language: str, **changes: Any) -> Rendered:
    """Return the mail about a source that fell silent."""
    facts = SourceFacts(
        event_id="evt_1",
        type="source.silent",
        happened_at=NOW,
        source="Web shop <crm>",
        silent_since=NOW - 25 * HOUR,
        silent_after_hours=24,
        last_response_at=NOW - 25 * HOUR,
    )
    return render_source(
        "source_silent",
        replace(facts, **changes),
        language=language,
        time_zone="Europe/Berlin",
        public_url=PUBLIC_URL,
        now=NOW,
    )


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_mail_about_a_silent_source_says_what_was_agreed_on(language: str) -> None:
    compare(of_source(language), f"source_silent.{language}.txt")
    never = of_source(language, last_response_at=None, silent_after_hours=1)
    compare(never, f"source_silent.never.{language}.txt")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_mail_about_a_source_reaches_no_outside_host_and_breaks_on_no_name(
    language: str,
) -> None:
    mail = of_source(language, source="=?x?=\r\nBcc: a@b.c <mj-raw>\u202e/" + "x" * 200)

    loaded = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(https?://[^"')\s]+)""", mail.html)
    assert {link.split("/")[2] for link in loaded} == {"loop.example.org"}
    assert "<mj-" not in mail.html
    assert f'lang="{language}"' in mail.html
    assert max(len(line) for line in mail.text.splitlines() if "://" not in line) <= 72
    build_mail(
        mail,
        delivery_id="dlv_1",
        sender=Sender(name="Closed Loop", address="loop@example.org"),
        recipient="ana@example.org",
        date=NOW,
    )


def of_theme(language: str, **changes: Any) -> Rendered:
    """Return the mail about a theme that rises."""
    facts = ThemeFacts(
        event_id="evt_1",
        type="theme.rising",
        happened_at=NOW,
        theme_id="late courier",
        name="Late <courier>",
        names={"de": "Verspätete <Lieferung>"},
        department="Delivery",
        week=date(2026, 2, 23),
        first=date(2026, 2, 23),
        last=date(2026, 3, 1),
        mentions=41,
        comments=1_212,
        former_mentions=112,
        former_comments=8_530,
        former_weeks=8,
        expected=16.4,
        ratio=2.53,
        ratio_ci95=(1.61, 3.98),
        rated=38,
        detractors=30,
        response_ids=("rsp_1", "rsp_2"),
        item_id="oit_1",
    )
    return render_theme(
        "theme_rising",
        replace(facts, **changes),
        language=language,
        time_zone="Europe/Berlin",
        public_url=PUBLIC_URL,
    )


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_mail_about_a_rising_theme_says_what_was_agreed_on(language: str) -> None:
    compare(of_theme(language), f"theme_rising.{language}.txt")
    compare(of_theme(language, rated=0, detractors=0), f"theme_rising.unrated.{language}.txt")


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_mail_about_a_theme_reaches_no_outside_host_and_breaks_on_no_name(
    language: str,
) -> None:
    bad = "=?x?=\r\nBcc: a@b.c <mj-raw>\u202e/" + "x" * 200
    mail = of_theme(language, name=bad, names={})

    loaded = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(https?://[^"')\s]+)""", mail.html)
    assert {link.split("/")[2] for link in loaded} == {"loop.example.org"}
    assert f"{PUBLIC_URL}/themes/late%20courier" in loaded
    assert f"{PUBLIC_URL}/themes/rising" in loaded
    assert "<mj-" not in mail.html
    assert f'lang="{language}"' in mail.html
    assert max(len(line) for line in mail.text.splitlines() if "://" not in line) <= 72
    build_mail(
        mail,
        delivery_id="dlv_1",
        sender=Sender(name="Closed Loop", address="loop@example.org"),
        recipient="ana@example.org",
        date=NOW,
    )


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("event_type", SUMMARY_KINDS)
def test_a_summary_reaches_no_outside_host_and_is_narrow(
    event_type: str, language: str
) -> None:
    mail = summed_up(event_type, language, 12)

    loaded = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(https?://[^"')\s]+)""", mail.html)
    assert {link.split("/")[2] for link in loaded} == {"loop.example.org"}
    assert len([link for link in loaded if "/tasks/" in link]) == 5
    assert "Support &lt;call&gt;" in mail.html
    assert f'lang="{language}"' in mail.html
    lines = mail.text.splitlines()
    assert max(len(line) for line in lines if "://" not in line) <= 72
    build_mail(
        mail,
        delivery_id="dlv_1",
        sender=Sender(name="Closed Loop", address="loop@example.org"),
        recipient="ana@example.org",
        date=NOW,
    )


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_mail_for_a_new_password_says_what_was_agreed_on(language: str) -> None:
    facts = ResetFacts(reset_id="pwr_1", expires_at=NOW + HOUR)
    link = f"{PUBLIC_URL}/sign-in/reset/pwr_1~1~2"
    mail = render_reset(facts, language=language, time_zone="Europe/Berlin", link=link)

    compare(mail, f"password_reset.{language}.txt")
    assert mail.html.count(link) >= 2


def compare(mail: Rendered, name: str) -> None:
    """Compare a mail with the one that was agreed on."""
    said = f"{mail.subject}\n{'=' * 72}\n{mail.text}"
    path = FOLDER / name
    if os.environ.get("CLOSED_LOOP_TEST_GOLDEN") == "write":  # noqa: TID251 - a test's switch
        path.parent.mkdir(exist_ok=True)
        path.write_text(said)

    assert said == path.read_text()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("event_type", MAIL_KINDS)
def test_the_html_part_reaches_no_outside_host_runs_nothing_and_names_its_language(
    event_type: str, language: str
) -> None:
    html = rendered(event_type, language).html

    loaded = re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(https?://[^"')\s]+)""", html)
    assert {link.split("/")[2] for link in loaded} == {"loop.example.org"}
    assert "<script" not in html
    assert "<b>Berg" not in html
    assert f'lang="{language}"' in html
    assert 'lang="en-GB"' in html
    # Praise has no deadlines, and so no table of them.
    assert ('scope="row"' in html) is (event_type != "task.recognised")
    assert "prefers-color-scheme: dark" in html
    assert len(html) < 30_000


@pytest.mark.parametrize("event_type", MAIL_KINDS)
def test_text_parts_have_72_columns(event_type: str) -> None:
    lines = rendered(event_type, "de").text.splitlines()

    assert max(len(line) for line in lines if "://" not in line) <= 72


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, "4/10 from Doorstep delivery, due today 18:00"),
        ({"touchpoint": None}, "4/10, due today 18:00"),
        ({"score": None}, "Feedback from Doorstep delivery, due today 18:00"),
        ({"score": None, "touchpoint": None}, "Feedback, due today 18:00"),
        ({"metric": "csat", "score": 2}, "2/5 from Doorstep delivery, due today 18:00"),
        ({"metric": "ces", "score": 0}, "0/7 from Doorstep delivery, due today 18:00"),
        ({"state": "in_progress"}, "4/10 from Doorstep delivery, due tomorrow 10:00"),
        (
            {"touchpoint": "=?utf-8?q?=0ABcc:_x?=\u202e"},
            "4/10 from = ?utf-8?q?=0ABcc:_x?=, due today 18:00",
        ),
        (
            {"first_contact_due_at": NOW + 100 * HOUR},
            "4/10 from Doorstep delivery, due Fri 6 Mar, 14:00",
        ),
    ],
)
def test_a_subject_is_score_touchpoint_and_time(changes: dict[str, Any], subject: str) -> None:
    assert rendered("task.opened", "en", facts=replace(FACTS, **changes)).subject == subject


def test_without_words_or_after_an_erasure_the_mail_says_so() -> None:
    assert "The customer left no words." in rendered("task.opened", "en", person={}).text
    erased = rendered("task.opened", "en", person=None)
    assert "The customer's data have been erased." in erased.text
    assert "The customer's data have been erased." in erased.html.replace("&#39;", "'")


def test_an_unknown_language_or_time_zone_falls_back() -> None:
    mail = render_mail(
        "task_opened",
        FACTS,
        person={},
        language="xx-YY",
        time_zone="Nowhere/Land",
        public_url=PUBLIC_URL,
        now=NOW,
    )

    assert mail.subject == "4/10 from Doorstep delivery, due today 17:00"
    assert "(UTC)" in mail.text


@pytest.mark.parametrize(
    ("phone", "link"),
    [
        ("+44 20 7946 0001", "tel:+442079460001"),
        ("(030) 123-45/67", None),
        ("javascript:alert(1)", None),
        ("call me", None),
    ],
)
def test_only_what_can_be_dialled_becomes_a_telephone_link(
    phone: str, link: str | None
) -> None:
    html = rendered("task.opened", "en", person={"customer": {"phone": phone}}).html

    found = re.search(r'href="(tel:[^"]*)"', html)
    assert (found and found[1]) == link
    assert "javascript:" not in html.replace("javascript:alert(1)</bdi>", "")


@pytest.mark.parametrize(
    "words",
    [
        "a < b & c > d \" ' {{ 7*7 }} {% raw %} ]]> <!-- --> <mj-raw>",
        "</mj-text></mj-column><mj-image src='https://evil.example/x.png' />",
        "\x0b\x0c\x1b[31m\x00\ufffe\U0001f600",
        "&lt;&#x3c;&nbsp;&unknown;",
        "مرحبا \u202eolleh\u202c שלום",
        "word " * 2_000,
        "x" * 10_000,
        "\n" * 500,
    ],
)
def test_no_words_break_the_mail(words: str) -> None:
    check_words(words)


@given(st.text(), st.text())
def test_no_text_at_all_breaks_the_mail(words: str, touchpoint: str) -> None:
    check_words(words, touchpoint=touchpoint)


def check_words(words: str, **changes: Any) -> None:
    person = {"customer": {"name": words, "phone": words, "language": words}, "comment": words}
    facts = replace(FACTS, **changes)
    mail = rendered("task.opened", "en", facts=facts, person=person)
    sender = Sender(name="Closed Loop", address="loop@example.org")
    build_mail(mail, delivery_id="dlv_1", sender=sender, recipient="ana@example.org", date=NOW)

    assert "evil.example/x.png" not in re.findall(r'src="([^"]*)"', mail.html)
    assert "<mj-" not in mail.html
    assert mail.html.rstrip().endswith("</html>")


def test_a_number_that_is_none_is_shown_as_unusable_and_not_dialled() -> None:
    """What the source gave is kept; nobody is sent to try it."""
    customer = {"name": "Ana", "phone": "call me", "email": "nope"}
    mail = rendered(
        "task.opened",
        "en",
        person={"customer": customer, "comment": None, "unusable": ["email", "phone"]},
    )

    assert "E-mail: nope (not usable)" in mail.text
    assert "Telephone: call me (not usable)" in mail.text
    assert "tel:" not in mail.html


def test_whoever_must_not_be_contacted_is_named_so_and_not_dialled() -> None:
    """The owner learns it before anything else, and there is nothing to dial."""
    person = {"customer": {**PERSON["customer"], "do_not_contact": True}, "comment": "No."}
    mail = rendered("task.opened", "en", person=person)

    notice = "Do not contact this customer: the customer has asked not to be"
    assert notice in mail.text
    assert mail.text.index(notice) < mail.text.index("Telephone")
    assert notice in mail.html
    for kind in MAIL_KINDS:
        other = rendered(kind, "en", person=person)
        assert "lease contact the customer" not in f"{other.text}{other.html}"
    assert "tel:" not in mail.html
