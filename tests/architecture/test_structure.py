"""Promises about the source itself: sizes, exemptions, names that must have a counterpart."""

from __future__ import annotations

import ast
import asyncio
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from services.cli.program import EXIT_CODES
from services.notify.domain.accounts import ACCOUNT_MAIL_KINDS
from services.notify.domain.alerts import EVENT_TYPES, MAIL_KINDS, SUMMARY_KINDS
from services.notify.domain.customers import CUSTOMER_MAIL_KINDS
from services.notify.domain.endpoints import ENDPOINT_MAIL_KINDS
from services.notify.domain.sources import SOURCE_MAIL_KINDS
from services.notify.domain.themes import THEME_MAIL_KINDS
from shared import errors
from shared.bus.consumer import Consumer
from shared.errors import ClosedLoopError, Malformed, Refused, TryLater
from shared.events import topics
from shared.events.envelope import Event
from shared.events.registry import EVENTS
from shared.figures import ABOUT, counters
from shared.settings import Settings
from shared.web.health import registry
from shared.web.kinds import kind_of
from tests.architecture.composed import ROOT, composed

T = TypeVar("T")

LARGEST = 450
LARGEST_OF_TESTS = 900  # a list of sentences is searched, not read from the top
LARGER: Mapping[str, str] = {
    "migrations/versions/0001_initial.py": "generated: every table of the first release",
}

# An event that no consumer of ours hears, and for whom it is published.
FOR_OTHERS: Mapping[str, str] = {
    "alert.delivered.v1": "whoever watches from outside that people are told",
}
# An event that endpoints are not told of, and why.
BETWEEN_US: Mapping[str, str] = {
    "customer.export-requested": "asks our own services what they know of somebody",
    "task.removed": "sample data goes; nobody outside has to act on it",
}
# A topic without an event yet, and why it exists from the first installation on.
WITHOUT_EVENTS: Mapping[str, str] = {}

FOREIGN = re.compile(
    r"(?<![\w.])/(?:work|root|home)/\w|\b(?:pypi\.org|pythonhosted|devpi|artifactory)\b"
    r"|(?:^|\s)--(?:extra-)?index-url[ =]",
    flags=re.MULTILINE,
)
UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")
EXEMPTION = re.compile(
    r"#\s*(?:noqa:\s*(?P<codes>[A-Z0-9, ]*[A-Z0-9])|type:\s*ignore\[(?P<kinds>[a-z, -]+)\]"
    r"|pragma:\s*(?P<pragma>no cover))(?P<reason>.*)"
)
PERSONAL = re.compile(
    r"^(?:address|body|comment|content|customer|email|name|note|password|payload|phone|secret"
    r"|subject_line|text|token|value)$"
)


@cache
def tracked(*suffixes: str) -> Sequence[Path]:
    """Return every file under version control that still exists."""
    done = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - git as the machine has it
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        pytest.skip("not a checkout: git lists no files here")
    paths = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    return [
        path
        for path in paths
        if path.is_file() and (not suffixes or path.suffix in suffixes) and path != THIS
    ]


THIS = Path(__file__)


def said(path: Path) -> str:
    """Return a path as a person would write it."""
    return path.relative_to(ROOT).as_posix()


def product(*suffixes: str) -> Sequence[Path]:
    """Return the files that are shipped."""
    return [
        path
        for path in tracked(*suffixes)
        if said(path).startswith(("services/", "shared/", "migrations/"))
    ]


def text_of(path: Path) -> str:
    """Return a file's text, empty for what is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def descendants(kind: type[T]) -> Iterator[type[T]]:
    """Return every class below this one."""
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


# ------------------------------------------------------------------ the files


def test_no_file_is_longer_than_can_be_read_at_one_sitting() -> None:
    """What is longer becomes two rooms, or is argued for above."""
    long = {
        said(path): lines
        for path in tracked(".py")
        if said(path) not in LARGER
        and (lines := text_of(path).count("\n"))
        > (LARGEST_OF_TESTS if said(path).startswith("tests/") else LARGEST)
    }
    argued_in_vain = [
        name
        for name in LARGER
        if not (ROOT / name).exists() or text_of(ROOT / name).count("\n") <= LARGEST
    ]

    assert long == {}
    assert argued_in_vain == []


def test_nothing_names_a_machine_or_an_index_or_is_left_undone() -> None:
    """A checkout works on any machine, and says what it does not do in its documentation."""
    found = [
        f"{said(path)}: {match.group(0).strip()}"
        for path in tracked()
        for pattern in (FOREIGN, UNFINISHED)
        for match in pattern.finditer(text_of(path))
    ]

    assert found == []


def test_every_exemption_says_why_the_first_time_in_a_file() -> None:
    """Beside the line, or beside an earlier one with the same code."""
    silent = []
    for path in tracked(".py"):
        explained: set[str] = set()
        for number, line in enumerate(text_of(path).splitlines(), start=1):
            for match in EXEMPTION.finditer(line):
                codes = {
                    code.strip()
                    for code in (
                        match["codes"] or match["kinds"] or match["pragma"] or ""
                    ).split(",")
                }
                if match["reason"].strip(" -#"):
                    explained |= codes
                elif codes - explained:
                    silent.append(f"{said(path)}:{number} {sorted(codes - explained)}")

    assert silent == []


def test_no_exemption_is_blanket() -> None:
    """Each names the rule that it sets aside."""
    blanket = re.compile(r"#\s*(?:noqa(?!:)|type:\s*ignore(?!\[)|ruff:\s*noqa|mypy:)")

    found = [said(path) for path in tracked(".py") if blanket.search(text_of(path))]

    assert found == []


def test_logs_hold_no_words_of_people() -> None:
    """A log line's members are ids, states and counts, by their names."""
    found = []
    for path in product(".py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"log", "_log", "logger"}
            ):
                found += [
                    f"{said(path)}:{node.lineno} {member.arg}"
                    for member in node.keywords
                    if member.arg is None or PERSONAL.match(member.arg)
                ]

    assert found == []


# ------------------------------------------------------------------ events


@pytest.fixture(scope="module")
def consumers() -> Sequence[Consumer]:
    """Every consumer of the composed program."""

    async def look() -> Sequence[Consumer]:
        async with composed() as system:
            return [each for each in system.workers if isinstance(each, Consumer)]

    return asyncio.run(look())


def _kinds(consumer: Consumer) -> Sequence[type[Event]]:
    found: Sequence[type[Event]] = tuple(consumer._kinds.values())
    return found


def test_every_event_is_heard_by_somebody_or_published_for_others(
    consumers: Sequence[Consumer],
) -> None:
    """An event without an ear is either forgotten wiring, or a line above."""
    heard = {kind.TYPE for consumer in consumers for kind in _kinds(consumer)}

    assert set(EVENTS) - heard == set(FOR_OTHERS)
    assert heard <= set(EVENTS)


def test_a_consumer_listens_where_its_events_are_published(
    consumers: Sequence[Consumer],
) -> None:
    """Every topic that is listened to exists, and brings what the consumer understands."""
    for consumer in consumers:
        listened = set(consumer._topics)
        assert listened <= set(topics.ALL)
        assert {kind.TOPIC for kind in _kinds(consumer)} == listened


def test_every_topic_carries_events_or_is_argued_for() -> None:
    """``migrate`` makes them all."""
    used = {kind.TOPIC for kind in EVENTS.values()}

    assert used <= set(topics.ALL)
    assert set(topics.ALL) - used == set(WITHOUT_EVENTS)
    assert all(name.startswith("closed-loop.") for name in topics.ALL)


def test_every_event_of_something_reaches_webhooks_under_its_public_name(
    consumers: Sequence[Consumer],
) -> None:
    """Whoever asks for all of tasks, sources, themes or customers is told all of it."""
    published = {
        kind.TYPE.removesuffix(".v1")
        for kind in EVENTS.values()
        if kind.TOPIC == topics.TASKS
        or kind.TYPE.startswith(("source.", "customer.", "theme."))
    }
    (notify,) = [each for each in consumers if each.name == "notify"]

    assert {kind.TYPE.removesuffix(".v1") for kind in _kinds(notify)} == published
    assert published - set(BETWEEN_US) <= set(EVENT_TYPES)


# ------------------------------------------------------------------ mail


def test_every_mail_has_its_three_files_and_a_reason_to_be_sent() -> None:
    """Subject, text and layout; a folder that no event asks for is a leftover."""
    folder = ROOT / "services" / "notify" / "templates" / "mail"
    kinds = {path.name for path in folder.iterdir() if path.is_dir()}

    by_event = {**MAIL_KINDS, **SOURCE_MAIL_KINDS, **THEME_MAIL_KINDS}
    # About endpoints administrators get mail, and no webhook: it might be the one that fails.
    own = ENDPOINT_MAIL_KINDS.values()
    asked_for = {*CUSTOMER_MAIL_KINDS, *ACCOUNT_MAIL_KINDS}
    assert kinds == {*by_event.values(), *SUMMARY_KINDS.values(), *own, *asked_for}
    for kind in kinds:
        files = {path.name for path in (folder / kind).iterdir()}
        assert files == {"subject.txt", "body.txt", "body.mjml"}
    assert {*by_event, *SUMMARY_KINDS} <= set(EVENT_TYPES)


def test_every_page_has_somebody_who_shows_it() -> None:
    """A template is rendered, extended or imported by another."""
    pages = list(product(".html"))
    everything = "\n".join(text_of(path) for path in product(".py", ".html"))

    unused = [path.name for path in pages if f'"{path.name}"' not in everything]

    assert pages
    assert unused == []


# ------------------------------------------------------------------ errors


def test_every_refusal_has_a_status_a_name_and_an_explanation_of_its_own() -> None:
    """What the tree in ``shared/errors.py`` says is what HTTP answers."""
    kinds = [kind for kind in descendants(Refused) if kind.__module__ == errors.__name__]
    drawn = re.findall(r"[├└]── (\w+)\s+(\d{3})", errors.__doc__ or "")

    assert len({kind.slug for kind in kinds}) == len(kinds)
    assert {(kind.__name__, str(kind.status)) for kind in kinds} | {
        (TryLater.__name__, "503")
    } == set(drawn)
    for kind in kinds:
        explained = kind_of(kind.slug)
        assert explained is not None
        assert (explained.status, explained.title) == (kind.status, kind.title)
        assert len(explained.text) > 40


def test_every_error_has_an_exit_code() -> None:
    """The command line knows each kind; a record on the bus is nothing that a command meets."""
    known = tuple(kind for kind, _ in EXIT_CODES)

    unknown = [
        kind.__name__
        for kind in descendants(ClosedLoopError)
        if not issubclass(kind, known) and kind is not Malformed
    ]

    assert unknown == []
    assert {code for _, code in EXIT_CODES} == {1, 3, 4, 75}


# ------------------------------------------------------------------ numbers, settings, faults


def test_every_metric_is_documented() -> None:
    """An operator reads what a number means where the address is explained."""
    page = text_of(ROOT / "docs" / "operations.md")

    counted = [*registry.collect(), *counters.collect()]
    names = [metric.name for metric in counted] + [f"closed_loop_{name}" for name in ABOUT]
    silent = [name for name in names if f"`{name}" not in page]
    labels = {
        label for metric in counted for sample in metric.samples for label in sample.labels
    }

    assert silent == []
    assert labels <= {"method", "route", "status", "le", "channel", "verdict", "reason"}


def test_every_setting_is_read_somewhere() -> None:
    """A setting without effect would be a promise that nobody keeps."""
    code = "\n".join(
        text_of(path) for path in product(".py") if said(path) != "shared/settings.py"
    )

    idle = [name for name in Settings.model_fields if not re.search(rf"\.{name}\b", code)]

    assert idle == []


def test_the_sweep_of_fault_points_leaves_none_out() -> None:
    """Whatever the code names is explained there, and nothing that is gone."""
    sweep = ast.parse(text_of(ROOT / "tests" / "faults" / "test_fault_points.py"))
    (explained,) = [
        ast.literal_eval(node.value)
        for node in ast.walk(sweep)
        if isinstance(node, ast.Assign)
        and [target.id for target in node.targets if isinstance(target, ast.Name)]
        == ["CRASH_POINTS"]
    ]
    named = {
        name
        for path in product(".py")
        for name in re.findall(r"""fault_point\(\s*["']([a-z_.-]+)["']""", text_of(path))
    }

    assert named == set(explained)
