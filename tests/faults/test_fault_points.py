"""Every named fault point, twice: the process dies there, and again while it recovers.

The points are walked in chains, one installation each: every start but the first is the
recovery from a death and runs into the next one. After the last start everything must be as if
nobody had died. What each point stands for is in ``CRASH_POINTS``.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.ids import new_id
from tests.faults.ahead import VARIABLE as AHEAD
from tests.faults.history import History
from tests.faults.load import (
    Load,
    prove_nothing_lost_nothing_doubled,
    proven,
    settled,
)
from tests.infra.processes import ServerDidNotStart, wait_until
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer
from tests.journeys.installation import Embedded, Installation

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"""fault_point\(\s*["']([a-z_.]+)["']""")

CRASH_POINTS = {
    "request.reading": "the body of a request is on its way",
    "ingest.validated": "understood, nothing written",
    "ingest.recorded": "in the transaction that records",
    "ingest.counted": "in the transaction that counts refusals",
    "ingest.answering": "committed, not answered",
    "ingest.received_again": "a stored payload is recorded, not yet marked",
    "transaction.before_commit": "at the end of any transaction",
    "transaction.after_commit": "any transaction stands, nobody knows it",
    "relay.leased": "the relay has its lease and has read nothing",
    "relay.claimed": "rows are read and not sent",
    "relay.sent": "rows are on their way to the bus",
    "relay.acknowledged": "the bus has the rows, they are not marked",
    "relay.marked": "the rows are marked",
    "responses.announced_again": "in the transaction that announces again",
    "consumer.polled": "records are read, nothing has begun",
    "consumer.in_effect": "in the transaction of the effect",
    "loop.taken_in": "tasks and verdicts are written, not committed",
    "consumer.effect_committed": "the effect stands, the offset does not",
    "consumer.offset_committed": "both stand",
    "notify.fanned_out": "in the transaction that makes deliveries",
    "notify.source_told": "in the transaction that tells of a source",
    "notify.theme_told": "in the transaction that tells of a theme",
    "risers.judged": "in the transaction that judges a week of a department",
    "delivery.claimed": "claimed, nobody is connected",
    "delivery.sent": "taken by the other side, not marked",
    "delivery.marked": "marked, no goodbye said",
    "timer.claimed": "due and claimed, not rung",
    "timer.ringing": "in the transaction that rings",
    "timer.rung": "rung",
    "discovery.read": "a night has read what no theme covers, nothing is written",
    "discovery.written": "in the transaction that writes what a night found",
    "sources.kept_up": "in the transaction that notices a silence",
    "persons.searched": "in the transaction that notes how far a search for a person is",
    "persons.forgotten": "a person's key is destroyed, nothing is announced or committed",
    "persons.worked": "in the transaction that did a part of a request about a person",
    "persons.cleared_up": "in the transaction that notes that scrubbed bytes are gone",
    "themes.recounted": "in the transaction that counts a day of before again",
    "replay.slice": "in the transaction that reads some comments again",
    "schema.upgraded": "all migrations have run, nothing is committed",
    "serving.stopping": "a stop was asked for and has begun",
    "backup.copied": "the data are copied, the keys are not",
    "backup.keys_written": "the keys are written, the backup has no name yet",
    "restore.filled": "the data of a backup are there, not in their place or without keys",
    "secret.rewrapping": "in the transaction that brings some rows under a new secret",
}
"""The process dies when …"""

ALWAYS_ON = {
    "taking in": (
        "request.reading",
        "ingest.validated",
        "ingest.recorded",
        "ingest.counted",
        "ingest.answering",
        "ingest.received_again",
    ),
    "committing": ("transaction.before_commit", "transaction.after_commit", "serving.stopping"),
    "publishing": (
        "relay.leased",
        "relay.claimed",
        "relay.sent",
        "relay.acknowledged",
        "relay.marked",
    ),
    "handling": (
        "consumer.polled",
        "consumer.in_effect",
        "loop.taken_in",
        "consumer.effect_committed",
        "consumer.offset_committed",
    ),
    "telling": (
        "notify.fanned_out",
        "delivery.claimed",
        "delivery.sent",
        "delivery.marked",
    ),
}
"""Points that a stream of posts reaches by itself, or with what a chain does beside it."""

LATER = {
    2: ("responses.announced_again", "sources.kept_up", "notify.source_told"),
    20: ("timer.claimed", "timer.ringing", "timer.rung"),
    30: ("timer.rung",),
}
"""Points that are reached so many hours later."""

WHILE_FORGETTING = (
    "persons.searched",
    "persons.forgotten",
    "persons.worked",
    "persons.cleared_up",
)
"""Points that are walked in ``test_forgetting``."""

WHILE_REPLAYING = ("themes.recounted", "replay.slice")
"""Points that are walked in ``test_replaying``."""

WHILE_JUDGING = ("risers.judged", "notify.theme_told")
"""Points that are walked in ``test_judging``."""

AT_NIGHT = ("discovery.read", "discovery.written")
"""Points of the night in which what no theme covers is looked through."""

AT_THE_FIRST_START = ("schema.upgraded",)

IN_COMMANDS = ("secret.rewrapping", "backup.copied", "backup.keys_written", "restore.filled")
"""Points of commands, walked in ``test_new_secret`` and ``test_backup_points``."""

ARRIVALS = {
    "transaction.before_commit": (40, 15),
    "transaction.after_commit": (40, 15),
    "relay.leased": (2, 1),
    "serving.stopping": (1, 1),
    "ingest.received_again": (1, 1),
    "schema.upgraded": (1, 1),
}
"""At the how-manieth arrival the process dies, and dies again; 4 and 2 elsewhere."""


def named_points() -> set[str]:
    """Return every fault point that the code names."""
    return {
        name
        for folder in ("services", "shared")
        for path in (ROOT / folder).rglob("*.py")
        for name in NAMED.findall(path.read_text(encoding="utf-8"))
    }


def test_every_named_point_is_walked_and_explained() -> None:
    walked = {
        *AT_NIGHT,
        *AT_THE_FIRST_START,
        *WHILE_FORGETTING,
        *WHILE_JUDGING,
        *WHILE_REPLAYING,
        *IN_COMMANDS,
        *(point for chain in ALWAYS_ON.values() for point in chain),
        *(point for chain in LATER.values() for point in chain),
    }

    assert named_points() == walked == set(CRASH_POINTS)


@pytest.fixture
def embedded(mail_server: MailServer) -> Iterator[Embedded]:
    """An installation that may be killed, with a mail server of its own."""
    installation = Embedded(mail=mail_server)
    yield installation
    installation.stop()


def hook(installation: Installation, receiver: Receiver) -> None:
    """Have the receiver told of every task."""
    with installation.client() as client:
        reply = client.post(
            "/v1/webhooks", json={"url": receiver.url, "events": ["task.opened"]}
        )
        assert reply.status_code == 201, reply.text
        receiver.use_secret(reply.json()["secret"])


def die(
    installation: Embedded, point: str, arrival: int, *, hours: float = 0, **beside: bool
) -> None:
    """Start the process, and wait until it has died at the n-th arrival at that point."""
    fault = {"CLOSED_LOOP_TEST_FAULT": f"{point}:{arrival}", AHEAD: str(hours)}
    try:
        installation.start("all", fault)
    except ServerDidNotStart:
        pass  # it died there before it was ready, which is dying there
    else:
        with _errand(point, installation):
            installation.wait_dead("all", seconds=120)
    assert installation.exit_code("all") == 137, installation.log_of("all")[-2_000:]


@contextlib.contextmanager
def _errand(point: str, installation: Embedded) -> Iterator[None]:
    """Do beside the stream what leads to some points, as often as it takes."""
    errand = ERRANDS.get(point)
    over = threading.Event()

    def run() -> None:
        while errand is not None and not over.is_set():
            with contextlib.suppress(httpx.HTTPError):
                errand(installation)
            over.wait(0.1)

    runner = threading.Thread(target=run, daemon=True)
    runner.start()
    try:
        yield
    finally:
        over.set()
        runner.join(30)


def _take_a_payload_in_again(installation: Embedded) -> None:
    """Have a payload kept that nobody could map, and take it in once more."""
    with installation.client() as client:
        client.post("/v1/hooks/bootstrap", json={"nothing": "that means anything"})
        for kept in client.get("/v1/sources/bootstrap/payloads").json()["data"]:
            client.post(f"/v1/sources/bootstrap/payloads/{kept['id']}/receive")


def _ask_to_stop(installation: Embedded) -> None:
    installation.terminate("all")


ERRANDS: dict[str, Callable[[Embedded], None]] = {
    "ingest.received_again": _take_a_payload_in_again,
    "serving.stopping": _ask_to_stop,
}


@pytest.mark.parametrize("chain", ALWAYS_ON)
def test_dying_twice_at_each_point_loses_and_doubles_nothing(
    chain: str, embedded: Embedded, receiver: Receiver, mail_server: MailServer, unique: str
) -> None:
    embedded.start()
    hook(embedded, receiver)
    embedded.kill("all")
    receiver.answer(next_codes=[503])  # what failed once is told again
    load = Load(embedded, prefix=unique, clients=2, pause=0.02)
    load.start()

    for point in ALWAYS_ON[chain]:
        for arrival in ARRIVALS.get(point, (4, 2)):
            die(embedded, point, arrival)

    embedded.start()
    load.wait_for_more(3)
    load.stop()
    counted = prove_nothing_lost_nothing_doubled(
        embedded, load.history, receiver, mail=mail_server
    )
    print(dict(counted))


def test_dying_twice_at_what_comes_hours_later(
    embedded: Embedded, receiver: Receiver, mail_server: MailServer, unique: str
) -> None:
    """Silent sources, lost announcements, reminders, broken promises, summaries of imports."""
    embedded.command = [sys.executable, "-m", "tests.faults.ahead"]
    embedded.start()
    hook(embedded, receiver)
    history = History()
    with embedded.client() as client:
        reply = client.put(
            "/v1/sources/bootstrap", json={"silent_after_hours": 1}, headers={"If-Match": "*"}
        )
        assert reply.status_code == 200, reply.text
        # Whatever hour it is while this runs: by itself nothing rings at night.
        reply = client.patch("/v1/schemes/standard", json={"night": True})
        assert reply.status_code == 200, reply.text
        _post(client, history, f"{unique}-alone", {})
        _post(client, history, f"{unique}-import", {"import_id": new_id("imp")}, count=3)
    wait_until(lambda: _handled(embedded) == 4, what="the responses to be handled")
    embedded.kill("all")
    # This one is announced and not handled when the process dies.
    embedded.start("all", {"CLOSED_LOOP_TEST_FAULT": "loop.taken_in:1"})
    with embedded.client() as client, contextlib.suppress(httpx.HTTPError):
        _post(client, history, f"{unique}-unhandled", {})
    embedded.wait_dead("all")

    hours = 0
    for hours, points in LATER.items():
        for point in points:
            for _ in range(1 if point == "timer.rung" else 2):
                die(embedded, point, 1, hours=hours)

    embedded.start("all", {AHEAD: str(hours)})
    settled(embedded)
    # A receiver that checks the time refuses what was signed in the future, so it is not asked.
    evidence = proven(embedded, history, None, mail=mail_server)
    rung = [one for one in evidence.announced if one.kind.startswith(("task.due", "task.over"))]
    assert {one.kind for one in rung} == {"task.due-soon.v1", "task.overdue.v1"}
    assert len(evidence.tasks) == 5
    assert len({(one.kind, one.data["task_id"]) for one in rung}) == len(rung) == 10
    silent = [one for one in evidence.announced if one.kind == "source.silent.v1"]
    assert len(silent) == 1
    assert len({one.delivery_id for one in evidence.gathered}) >= 1


def test_dying_twice_at_night_discovers_the_same_once(embedded: Embedded, unique: str) -> None:
    embedded.command = [sys.executable, "-m", "tests.faults.ahead"]
    embedded.start()
    history = History()
    with embedded.client() as client:
        comments = [f"The locker number {unique} was full, said customer {n}" for n in range(8)]
        _post(client, history, f"{unique}-locker", {}, comments=comments)
    wait_until(lambda: _handled(embedded) == 8, what="the responses to be handled")
    embedded.kill("all")

    nights: list[str] = []
    listed: dict[str, Any] = {}
    for hours in (25, 50):  # in between there is always a night
        for point in AT_NIGHT:
            for _ in range(2):
                die(embedded, point, 1, hours=hours)
        embedded.start("all", {AHEAD: str(hours)})
        wait_until(lambda: _last_night(embedded) not in {"", *nights}, what="the night's work")
        nights.append(_last_night(embedded))
        with embedded.client() as client:
            listed = client.get("/v1/discoveries").json()
        embedded.kill("all")

    (found,) = listed["data"]
    assert (found["state"], found["nights"], found["comments"]) == ("shown", 2, 8)
    assert listed["waiting"] == 0


def _last_night(installation: Installation) -> str:
    with installation.client() as client:
        last = client.get("/v1/discoveries").json()["last_night"]
        return str(last["at"]) if last else ""


def _handled(installation: Installation) -> int:
    with installation.client() as client:
        found = client.get("/v1/responses", params={"state": "task_open"})
        return len(found.json()["data"])


def _post(
    client: httpx.Client,
    history: History,
    key: str,
    query: dict[str, str],
    *,
    count: int = 1,
    comments: Sequence[str] = (),
) -> None:
    bodies = [
        {"external_id": f"{key}-{n}", "score": 2, "customer": {"id": f"C-{key}-{n}"}}
        for n in range(len(comments) or count)
    ]
    for body, comment in zip(bodies, comments, strict=False):
        body["comment"] = comment
    operations = [history.invoke(0, str(body["external_id"])) for body in bodies]
    reply = client.post("/v1/responses/batch", json=bodies, params=query)
    assert reply.status_code == 202, reply.text
    for operation, result in zip(operations, reply.json()["results"], strict=True):
        assert result["status"] == "accepted", result
        history.ok(operation, result["id"])


def test_dying_twice_in_the_first_migration_leaves_a_database_that_starts(
    embedded: Embedded, receiver: Receiver, mail_server: MailServer, unique: str
) -> None:
    for point in AT_THE_FIRST_START:
        for arrival in ARRIVALS[point]:
            die(embedded, point, arrival)

    embedded.start()
    hook(embedded, receiver)
    load = Load(embedded, prefix=unique, clients=1)
    load.start()
    load.wait_for_more(5)
    load.stop()
    prove_nothing_lost_nothing_doubled(embedded, load.history, receiver, mail=mail_server)


def _at_the_address(mail: MailServer, then: Callable[[], None]) -> None:
    mail.on_recipient = then


def _after_the_mail(mail: MailServer, then: Callable[[], None]) -> None:
    mail.on_data = then


@pytest.mark.parametrize("moment", [_at_the_address, _after_the_mail])
def test_dying_in_a_talk_with_the_mail_server_sends_again_and_says_so(
    moment: Callable[[MailServer, Callable[[], None]], None],
    embedded: Embedded,
    receiver: Receiver,
    mail_server: MailServer,
    unique: str,
) -> None:
    """Before the mail was sent nothing came; after it the second one is marked as doubtful."""
    embedded.start()
    hook(embedded, receiver)
    # Whoever died may have left words of another talk that the server reads only now: they
    # are nobody's death.
    armed = threading.Event()

    def kill() -> None:
        if armed.is_set():
            armed.clear()
            embedded.kill("all")

    load = Load(embedded, prefix=unique, clients=1, pause=0.05)
    load.start()
    load.wait_for_more(5)
    moment(mail_server, kill)
    for _ in range(2):
        armed.set()
        embedded.wait_dead("all")
        embedded.start()
    load.stop()
    counted = prove_nothing_lost_nothing_doubled(
        embedded, load.history, receiver, mail=mail_server
    )
    assert counted["marked_as_doubtful"] >= 1
    if moment is _after_the_mail:
        assert counted["repeated_mails"] >= 1


def test_dying_before_a_receiver_has_answered_calls_again_under_the_same_id(
    embedded: Embedded, receiver: Receiver, mail_server: MailServer, unique: str
) -> None:
    embedded.start()
    hook(embedded, receiver)
    receiver.answer(delay=0.5)
    load = Load(embedded, prefix=unique, clients=1, pause=0.05)
    load.start()
    for _ in range(2):
        known = len(receiver.requests())
        receiver.wait_for(known + 1)
        embedded.kill("all")
        embedded.start()
    load.stop()
    receiver.answer()
    counted = prove_nothing_lost_nothing_doubled(
        embedded, load.history, receiver, mail=mail_server
    )
    assert counted["repeated_calls"] >= 1
    # Both deaths may have met one delivery: the checker looks whether each is marked.
    assert counted["marked_as_doubtful"] >= 1
