"""Marked customers go through everything there is; nothing of them can be read in the open.

One installation on each footing, at the most talkative log level. Its files are read byte by
byte before and after one of the two customers is erased.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from typing_extensions import override

from tests.infra import kafka
from tests.infra.postgres import PostgresServer
from tests.infra.processes import wait_until
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer
from tests.journeys.conftest import SCALED_OUT
from tests.journeys.installation import PROGRAM, Embedded, Installation, ScaledOut
from tests.journeys.planting import (
    ONE_BY_ONE,
    Marked,
    answer_by_link,
    ask_wrongly,
    figures,
    is_handled,
    post_everywhere,
    readable_in,
    set_aside,
    shown_anywhere,
    work_on,
)
from tests.journeys.test_one_response import handled

TALKATIVE = {"CLOSED_LOOP_LOG_LEVEL": "debug"}


class TalkativeEmbedded(Embedded):
    """Logs all that there is to log."""

    @override
    def environment(self) -> dict[str, str]:
        return {**super().environment(), **TALKATIVE}


class TalkativeScaledOut(ScaledOut):
    """Logs all that there is to log."""

    @override
    def environment(self, service: str) -> dict[str, str]:
        return {**super().environment(service), **TALKATIVE}


@pytest.fixture
def embedded() -> Iterator[Embedded]:
    """One of its own: its figures are compared."""
    with TalkativeEmbedded() as running:
        yield running


@pytest.fixture
def scaled_out(postgres_server: PostgresServer) -> Iterator[ScaledOut]:
    """One of its own: its figures are compared, and its topics are read."""
    broker = kafka.new_broker()
    broker.start()
    try:
        with (
            MailServer() as mail,
            TalkativeScaledOut(broker, postgres_server, mail=mail) as running,
        ):
            yield running
    finally:
        broker.stop()


@pytest.fixture(params=["embedded", SCALED_OUT])
def footing(request: pytest.FixtureRequest) -> Installation:
    running: Installation = request.getfixturevalue(request.param)
    return running


def settings_of(installation: Installation) -> dict[str, str]:
    """Return the settings of whoever gives commands: the owner of the database."""
    if isinstance(installation, ScaledOut):
        return installation.environment("migrate")
    assert isinstance(installation, Embedded)
    return installation.environment()


def command(installation: Installation, *words: str, **changes: str) -> str:
    """Give a command as somebody with a shell would; return what it said."""
    done = subprocess.run(
        [*PROGRAM, *words],
        env={**os.environ, **settings_of(installation), **changes},
        cwd=installation.folders[0],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout + done.stderr


def scraped(installation: Installation) -> str:
    """Return the numbers of every process."""
    if isinstance(installation, ScaledOut):
        urls = [installation.url_of(role) for role in ("ingest", "loop", "notify")]
    else:
        urls = [installation.front]
    return "\n".join(httpx.get(f"{url}/metrics", trust_env=False).text for url in urls)


def titles(installation: Installation) -> str:
    """Return what a list of processes shows of ours."""
    return "\n".join(
        Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        for pid in installation.pids
    )


def telling(texts: Mapping[str, str], marks: Sequence[str]) -> Mapping[str, str]:
    """Return those of the texts in which a mark stands."""
    return {
        name: text for name, text in texts.items() if any(one in text.lower() for one in marks)
    }


@contextmanager
def restored(installation: Embedded) -> Iterator[Embedded]:
    """Start another one on the backup that was made before the erasure."""
    elsewhere = TalkativeEmbedded()
    elsewhere.secret, elsewhere.key = installation.secret, installation.key
    try:
        backup = installation.folders[0] / "backups" / "before"
        command(elsewhere, "restore", str(backup))
        elsewhere.start_all()
        yield elsewhere
    finally:
        elsewhere.stop()


def erased(client: httpx.Client, response: str) -> dict[str, Any]:
    """Have whoever said this forgotten; return the certificate."""
    asked = client.post(
        "/v1/person-requests", json={"kind": "erasure", "person": {"response_id": response}}
    )
    assert asked.status_code == 202, asked.text
    request: dict[str, Any] = {}

    def is_done() -> bool:
        request.update(client.get(asked.headers["location"]).json())
        return bool(request["state"] == "done")

    wait_until(is_done, what="the erasure", seconds=60, every=0.2)
    return dict(request["certificate"])


@dataclass(frozen=True, kw_only=True)
class Story:
    """Two customers, what they posted, the tasks about it, and what was answered."""

    anna: Marked
    otto: Marked
    posted: Mapping[Marked, str]
    tasks: Mapping[Marked, str]
    wrong: Sequence[httpx.Response]
    tokens: Sequence[str]

    @property
    def marks(self) -> tuple[str, ...]:
        """What must be readable nowhere."""
        return (*self.anna.marks, *self.otto.marks)

    def shown(self, installation: Installation, *more: str) -> str:
        """Return what whoever may read all is shown of them."""
        responses = [*self.posted.values(), *more]
        return shown_anywhere(installation, responses, self.tasks.values())


def lived(footing: Installation, receiver: Receiver, unique: str) -> Story:
    """Have two customers complain, be called, be asked, and answer."""
    number = str(int(unique, 16) % 10**8).rjust(8, "7")
    anna = Marked(f"quokka{unique}", f"1{number}", f"counter-{unique}")
    otto = Marked(f"wombat{unique}", f"2{number}", f"counter-{unique}")
    with footing.client() as client:
        events = ["task.*", "customer.erased"]
        hook = client.post("/v1/webhooks", json={"url": receiver.url, "events": events})
        assert hook.status_code == 201, hook.text
        receiver.use_secret(hook.json()["secret"])
        posted = {who: post_everywhere(client, who) for who in (anna, otto)}
        wrong = [answer for who in (anna, otto) for answer in ask_wrongly(client, who)]
        tasks = {who: is_handled(client, response) for who, response in posted.items()}
        for who, task in tasks.items():
            work_on(client, task, who)
        ref = client.get(f"/v1/tasks/{tasks[anna]}").json()["customer_id"]
    tokens = [answer_by_link(footing, footing.mail, who) for who in (anna, otto)]
    set_aside(settings_of(footing)["CLOSED_LOOP_DATABASE_URL"], footing.secret, ref, anna)
    command(footing, "dead-letters", "list")
    command(footing, "backup", str(footing.folders[0] / "backups" / "before"))
    with footing.browser() as browser:
        for n, words in enumerate((anna.mark, anna.address)):
            assert browser.get("/", params={"q": words}).status_code == 200
            kept = browser.post(
                "/queue/views",
                data={"name": f"View {n}", "back": f"/?q={words}&score=0-3"},
                headers={"Origin": footing.front},
            )
            assert f"<bdi>View {n}" in kept.text
    return Story(anna=anna, otto=otto, posted=posted, tasks=tasks, wrong=wrong, tokens=tokens)


def come_late(client: httpx.Client, story: Story) -> list[str]:
    """Post what was posted before, a revision of it, and something new; return the ids."""
    anna = story.anna
    again = [
        client.post(ONE_BY_ONE, json=anna.response("alone")),
        client.post(ONE_BY_ONE, json=anna.response("alone", comment=f"{anna.mark} again")),
        client.post(ONE_BY_ONE, json=anna.response("later")),
    ]
    assert [answer.status_code for answer in again] == [202, 202, 202]
    assert again[0].json()["duplicate"] is True
    responses = [str(answer.json()["id"]) for answer in again]
    assert responses[:2] == [story.posted[anna]] * 2
    for response in responses:
        handled(client, response)
    return responses


def test_nothing_of_a_customer_stands_in_the_open_and_nothing_comes_back(
    footing: Installation, receiver: Receiver, unique: str
) -> None:
    story = lived(footing, receiver, unique)
    anna, otto = story.anna, story.otto
    seen = story.shown(footing)
    sent = footing.mail.mails if footing.mail else []

    # Whoever may read them does; and what is looked for in files would be found.
    assert [who.mark for who in (anna, otto) if who.mark not in seen] == []
    assert [one for one in footing.folders if not readable_in([one], [anna.place])] == []
    assert readable_in(footing.folders, [*story.marks, *story.tokens]) == []
    assert (
        telling(
            {
                **{f"answer {n}": one.text for n, one in enumerate(story.wrong)},
                **{f"headers {n}": str(one.headers) for n, one in enumerate(story.wrong)},
                **{f"webhook {n}": one.body for n, one in enumerate(receiver.requests())},
                **{f"subject {n}": str(one.message["Subject"]) for n, one in enumerate(sent)},
                "metrics": scraped(footing),
                "titles of processes": titles(footing),
                "links": " ".join(story.tokens),
            },
            story.marks,
        )
        == {}
    )
    assert len(receiver.requests()) >= 4

    with footing.client() as client:
        before = figures(client)
        certificate = erased(client, story.posted[anna])
        after = figures(client)
        late = come_late(client, story)
    command(footing, "dead-letters", "list")
    command(footing, "backup", str(footing.folders[0] / "backups" / "after"))
    wait_until(
        lambda: any(one.json["type"] == "customer.erased" for one in receiver.requests()),
        what="the word of the erasure",
    )
    shown = story.shown(footing, *late)

    assert sorted(certificate["services"]) == ["ingest", "loop", "notify"]
    assert after == before
    assert [mark for mark in anna.marks if mark in shown] == []
    assert otto.mark in shown
    assert readable_in(footing.folders, story.marks) == []
    webhooks = {f"webhook {n}": one.body for n, one in enumerate(receiver.requests())}
    assert telling(webhooks, story.marks) == {}

    if isinstance(footing, Embedded):
        with restored(footing) as elsewhere:
            shown = story.shown(elsewhere)
            with elsewhere.client() as client:
                assert figures(client) == before
            assert readable_in(elsewhere.folders, story.marks) == []
        assert [mark for mark in anna.marks if mark in shown] == []
        assert otto.mark in shown
