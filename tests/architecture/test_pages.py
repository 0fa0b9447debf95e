"""What holds for every page: words from the catalogues, typed contexts, colours, size."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jinja2 import Environment, meta, nodes

from services.ingest.pages import keys, privacy, sample, sources
from services.loop.pages import (
    closure,
    customer,
    discoveries,
    examples,
    keyboard,
    matrix,
    quality,
    queue,
    replays,
    risers,
    rules,
    scores,
    settings,
    task,
    taxonomy,
    team,
    themes,
)
from services.loop.pages.clocks import calendars, schemes
from services.loop.pages.journey import codes, departments, touchpoint, touchpoints
from services.loop.pages.people import absences, handover, staff
from services.loop.pages.welcome import organisation
from services.loop.pages.welcome import routes as welcome
from services.notify.pages import mail, mail_settings, webhooks
from shared.i18n import LANGUAGES, translations
from shared.web import account, audit, dead_letters, error_page, forgotten, sign_in

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "shared/web/static"
FOLDERS = (
    ROOT / "shared/web/templates",
    ROOT / "services/ingest/pages/templates",
    ROOT / "services/loop/pages/templates",
    ROOT / "services/notify/pages/templates",
)
TEMPLATES = {path.name: path for folder in FOLDERS for path in folder.glob("*.html")}
CONTEXTS: dict[str, Any] = {
    "check.html": quality.CheckPage,
    "closure.html": closure.ClosurePage,
    "bulk.html": queue.BulkPage,
    "account.html": account.AccountPage,
    "absences.html": absences.AbsencesPage,
    "audit.html": audit.AuditPage,
    "calendar.html": calendars.CalendarPage,
    "calendars.html": calendars.CalendarsPage,
    "code.html": codes.CodePage,
    "customer.html": customer.CustomerPage,
    "dead_letter.html": dead_letters.DeadLetterPage,
    "dead_letters.html": dead_letters.DeadLettersPage,
    "person_request.html": privacy.RequestPage,
    "privacy.html": privacy.PrivacyPage,
    "quality.html": quality.QualityPage,
    "replay.html": replays.ReplayPage,
    "retention.html": privacy.RetentionPage,
    "delivery.html": webhooks.DeliveryPage,
    "departments.html": departments.DepartmentsPage,
    "discoveries.html": discoveries.DiscoveriesPage,
    "forgotten.html": forgotten.ForgottenPage,
    "examples.html": examples.ExamplesPage,
    "error.html": error_page.ErrorPage,
    "handover.html": handover.HandoverPage,
    "key.html": keys.KeyPage,
    "keyboard.html": keyboard.KeyboardPage,
    "key_shown.html": keys.KeyShownPage,
    "keys.html": keys.KeysPage,
    "lists.html": codes.ListPage,
    "mail.html": mail.MailPage,
    "mail_settings.html": mail_settings.MailSettingsPage,
    "mails.html": mail.MailList,
    "organisation.html": organisation.OrganisationPage,
    "password_shown.html": staff.PasswordShownPage,
    "payload.html": sources.PayloadPage,
    "people.html": staff.PeoplePage,
    "person.html": staff.PersonPage,
    "new_password.html": forgotten.NewPasswordPage,
    "recovery_codes.html": account.CodesShownPage,
    "second_factor.html": account.SecondFactorPage,
    "sign_in_code.html": sign_in.CodePage,
    "news.html": queue.NewsPage,
    "queue.html": queue.QueuePage,
    "risers.html": risers.RisersPage,
    "rule.html": rules.RulePage,
    "rules.html": rules.RulesPage,
    "sample.html": sample.SamplePage,
    "scheme.html": schemes.SchemePage,
    "schemes.html": schemes.SchemesPage,
    "scores.html": scores.ScoresPage,
    "secret_shown.html": sources.SecretShownPage,
    "settled.html": closure.SettledPage,
    "service_levels.html": closure.LevelsPage,
    "settings.html": settings.SettingsPage,
    "sign_in.html": sign_in.SignInPage,
    "source.html": sources.SourcePage,
    "sources.html": sources.SourcesPage,
    "task.html": task.TaskPage,
    "taxonomy.html": taxonomy.TaxonomyPage,
    "taxonomy_preview.html": taxonomy.PreviewPage,
    "taxonomy_theme.html": taxonomy.ThemePage,
    "team.html": team.TeamPage,
    "theme.html": themes.ThemePage,
    "theme_matrix.html": matrix.MatrixPage,
    "themes.html": themes.ThemesPage,
    "touchpoint.html": touchpoint.TouchpointPage,
    "touchpoints.html": touchpoints.TouchpointsPage,
    "trial.html": rules.TrialPage,
    "welcome.html": welcome.WelcomePage,
    "webhook.html": webhooks.WebhookPage,
    "webhook_shown.html": webhooks.WebhookShownPage,
    "webhooks.html": webhooks.WebhooksPage,
}
FRAMEWORK = {"_", "ngettext", "gettext", "frame", "reader"}
NAMES = {"Closed Loop", "CSV", "JSON", "closed-loop user add you@example.org --role admin"}


def messages() -> ModuleType:
    """Return the script that collects texts."""
    spec = importlib.util.spec_from_file_location("messages", ROOT / "scripts/messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------ words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_in_the_catalogue_and_has_a_translation(language: str) -> None:
    script = messages()
    catalogue = script.updated(language, script.collected())

    assert script.untranslated(catalogue) == []
    assert script.path_of(language).read_bytes() == script.written(catalogue), (
        "run: python scripts/messages.py"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_fill_in_the_same_names(language: str) -> None:
    script = messages()
    for message in script.updated(language, script.collected()):
        if not message.id:
            continue
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = set(re.findall(r"%\((\w+)\)s", ids[-1]))
        for string in strings:
            assert set(re.findall(r"%\((\w+)\)s", string)) == wanted, message.id


def test_german_is_not_english() -> None:
    script = messages()
    german = script.updated("de", script.collected())
    same = [message.id for message in german if message.id and message.id == message.string]

    assert len(same) < 0.05 * len(german), same
    assert translations("de").gettext("My queue") == "Meine Aufgaben"


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_visible_word_bypasses_the_catalogues(name: str) -> None:
    text = TEMPLATES[name].read_text()
    for pattern in (r"{#.*?#}", r"{%.*?%}", r"{{.*?}}"):
        text = re.sub(pattern, " ", text, flags=re.DOTALL)
    spoken = re.findall(r'(?:aria-label|title|placeholder|alt|data-label)="([^"]+)"', text)
    spoken += re.sub(r"<[^>]*>", "\n", text).splitlines()

    bare = {words.strip() for words in spoken if re.search(r"[^\W\d_]{2,}", words)}
    attributes = {words for words in bare if re.fullmatch(r'[a-z-]+="[^"]*"', words)}
    assert {words for words in bare if words.removeprefix("· ") not in NAMES} == attributes


# ------------------------------------------------------------------ contexts


def test_every_template_has_a_typed_context() -> None:
    parts = {name for name in TEMPLATES if name.endswith("_parts.html")}
    shared = {"base.html", "macros.html", "versions.html"}
    assert set(TEMPLATES) - shared - parts == set(CONTEXTS)


@pytest.mark.parametrize("name", CONTEXTS)
def test_templates_name_what_their_context_holds_and_it_holds_no_more(name: str) -> None:
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    tree = environment.parse(TEMPLATES[name].read_text())
    defined = {node.target for node in tree.find_all(nodes.Import)}
    defined |= {node.name for node in tree.find_all(nodes.Macro)}
    named = meta.find_undeclared_variables(tree) - FRAMEWORK - defined
    held = {member.name for member in fields(CONTEXTS[name])}

    assert named <= held
    assert held - named == set()


def test_pages_run_and_load_nothing_from_elsewhere() -> None:
    for path in TEMPLATES.values():
        # The one script of our own comes from where the stylesheet comes from.
        text = path.read_text().replace('<script src="{{ frame.script }}" defer></script>', "")
        assert not re.search(r"<script|\son\w+=|\sstyle=|https?://|<style", text), path.name
    css = (STATIC / "app.css").read_text()
    assert not re.search(r"url\(|@import|https?:", css)


# ------------------------------------------------------------------ looks


def colours() -> Iterator[tuple[str, dict[str, str]]]:
    """Return the colours of each theme by name."""
    css = (STATIC / "app.css").read_text()
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    yield "light", {name: light for name, light, _ in pairs}
    yield "dark", {name: dark for name, _, dark in pairs}


def luminance(colour: str) -> float:
    """Return the relative luminance as WCAG 2.2 defines it."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TEXT = [
    *((ink, bed) for ink in ("ink", "soft", "accent") for bed in ("page", "card", "sunk")),
    *((word, bed) for word in ("late", "warn", "good") for bed in ("page", "card", "sunk")),
    ("late", "late-bed"),
    ("warn", "warn-bed"),
    ("good", "good-bed"),
    *(("ink", bed) for bed in ("late-bed", "warn-bed", "good-bed", "mark")),
    ("on-accent", "accent"),
    ("card", "good"),
]
EDGES = [(edge, bed) for edge in ("edge", "accent") for bed in ("page", "card", "sunk")]


@pytest.mark.parametrize(("theme", "of"), list(colours()), ids=lambda given: str(given)[:5])
def test_colours_can_be_told_apart(theme: str, of: dict[str, str]) -> None:
    faint = [
        (ink, bed, round(contrast(of[ink], of[bed]), 2))
        for pairs, least in ((TEXT, 4.5), (EDGES, 3.0))
        for ink, bed in pairs
        if contrast(of[ink], of[bed]) < least
    ]
    faint += [
        (one, "card", round(contrast(of[one], of["card"]), 2))
        for one in ("low", "high")
        if contrast(of[one], of["card"]) < 3.0
    ]

    assert faint == [], theme


def test_the_stylesheet_stays_small() -> None:
    # Every screen of the workbench shares it; sent packed, this is a third.
    assert (STATIC / "app.css").stat().st_size <= 18 * 1024
