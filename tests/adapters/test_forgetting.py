"""A customer is forgotten in loop: nothing of them is left, and everything still counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from services.loop.jobs import IndexWorker
from services.loop.listeners import Hearing
from services.loop.responses.tables import responses, score_rollups
from services.loop.tasks.domain.acts import AddNote, Agree, Close, ShareExample
from services.loop.tasks.domain.task import FollowUpTask
from services.loop.tasks.tables import search, task_history, tasks
from services.loop.themes.tables import mentions, theme_rollups
from shared.bus.consumer import Arrived
from shared.db import dead_letter
from shared.db.dead_letter import Undeliverable, list_letters, open_letter
from shared.events import topics
from shared.events.envelope import decode
from shared.events.ingest import CustomerErased, CustomerExportRequested
from shared.identity.erasure import FORGOTTEN, erase_person
from shared.identity.person_requests import archive_of, open_request
from shared.identity.tables import person_request_parts
from tests.desk import Desk
from tests.follow_up import REACHED

COMMENT = "Waited forty minutes with my daughter. The courier was late."
BLOCK = {"name": "Maya Lindqvist", "email": "maya@example.com", "phone": "+46 70 000 00 00"}
NOTE = "She mentioned her illness."
AGREED = "A new slot for the pram."
OF_MAYA = (COMMENT, "daughter", "illness", "pram", *BLOCK.values())


class Forgetful(Desk):
    """A desk that hears what ingest says about customers."""

    async def hear(self, *arrived: Arrived) -> None:
        """Take a poll in as the consumer does."""
        async with self.database.transaction() as tx:
            await Hearing(self.loop)(tx, arrived, self.clock.now())

    async def request(self, kind: Any, *refs: str, reason: Any = "request") -> str:
        """Write a request about these persons down; return its id."""
        async with self.database.transaction() as tx:
            request = await open_request(
                tx,
                kind,
                keyring=self.keyring,
                asked_by="stf_ada",
                now=self.clock.now(),
                reason=reason,
                found=refs,
            )
        return request.id

    def erased(self, ref: str, *ids: str, **members: Any) -> Arrived:
        """Return the event with which ingest says that somebody was forgotten."""
        event = CustomerErased(
            **{
                "request_id": "prq_unknown",
                "person_ref": ref,
                "response_ids": list(ids),
                "reason": "request",
                "whole": True,
                "erased_at": self.clock.now(),
                **members,
            }
        )
        return self.arrived(event)

    async def forget(self, task: FollowUpTask, **members: Any) -> None:
        """Forget the customer of a task, as ingest would."""
        async with self.database.transaction() as tx:
            await erase_person(tx, task.person_ref, self.clock.now())
        await self.hear(self.erased(task.person_ref, task.response_id, **members))

    async def figures(self) -> Mapping[str, Any]:
        """Return everything that is counted."""
        found = {
            table.name: sorted(map(str, await self.rows(table)))
            for table in (score_rollups, theme_rollups)
        }
        found["mentions"] = sorted(
            f"{row['response_id']} {row['theme_id']}" for row in await self.rows(mentions)
        )
        return {**found, "scores": sorted(row["score"] for row in await self.rows(responses))}


DESK = Forgetful


async def maya(desk: Forgetful, **members: Any) -> FollowUpTask:
    """Have Maya complain, somebody write about her, and return her task."""
    task = await desk.hears(COMMENT, customer="c-maya", block=BLOCK, score=1, **members)
    await desk.act(task, AddNote(text=NOTE), REACHED, Agree(agreed=AGREED))
    return task


def personal_in(text: str) -> list[str]:
    """Return what a text still says of her."""
    return [word for word in OF_MAYA if word in text]


async def test_nothing_of_a_customer_stays_and_every_figure_does(desk: Forgetful) -> None:
    task = await maya(desk)
    other = await desk.hears("All was late.", customer="c-jonas", block={"name": "Jonas"})
    before = await desk.figures()

    await desk.forget(task)

    assert await desk.figures() == before
    (stored,) = [row for row in await desk.rows(tasks) if row["id"] == task.id]
    assert stored["sealed_person"] == FORGOTTEN
    lines = [row for row in await desk.rows(task_history) if row["task_id"] == task.id]
    words = [row["sealed_words"] for row in lines]
    assert words.count(FORGOTTEN) == 3
    assert set(words) == {FORGOTTEN, None}
    assert [row["act"] for row in lines][-1] == "erase"
    found_by = {row["person_ref"] for row in await desk.rows(search)}
    assert found_by == {other.person_ref}
    kept = {row["id"]: row["sealed_person"] for row in await desk.rows(responses)}
    assert kept[task.response_id] == FORGOTTEN
    assert kept[other.response_id] not in {FORGOTTEN, None}


async def test_a_request_counts_what_was_there_once(desk: Forgetful) -> None:
    task = await maya(desk)
    request_id = await desk.request("erasure", task.person_ref)

    await desk.forget(task, request_id=request_id)
    await desk.forget(task)

    (part,) = await desk.rows(person_request_parts)
    assert (part["service"], part["persons_done"]) == ("loop", 1)
    counts = dict(part["counts"])
    assert counts.pop("search_terms") > 5
    assert counts == {"responses": 1, "tasks": 1, "notes": 3, "dead_letters": 0}
    lines = [row["act"] for row in await desk.rows(task_history)]
    assert lines.count("erase") == 1


async def test_a_person_of_many_responses_is_done_with_the_last_event(desk: Forgetful) -> None:
    task = await maya(desk)
    request_id = await desk.request("erasure", task.person_ref)

    await desk.forget(task, request_id=request_id, last=False)
    (first,) = await desk.rows(person_request_parts)
    await desk.forget(task, request_id=request_id)
    (both,) = await desk.rows(person_request_parts)

    assert [first["persons_done"], both["persons_done"]] == [0, 1]
    assert first["counts"] == both["counts"]


async def test_pages_say_erased_where_the_words_stood(desk: Forgetful) -> None:
    task = await maya(desk)
    await desk.act(task, Close(reason="not_needed", note=NOTE), ShareExample())
    open_one = await desk.hears("Late again.", customer="c-maya", block=BLOCK, score=1)
    theme = (await desk.rows(mentions))[0]["theme_id"]
    paths = {
        "task": f"/tasks/{task.id}",
        "open": f"/tasks/{open_one.id}",
        "customer": f"/customers/{task.person_ref}",
        "queue": "/?tab=open",
        "file": "/queue.csv",
        "theme": f"/themes/{theme}",
        "examples": "/examples",
    }

    await desk.forget(task)

    async with desk.browsing("ana") as browser:
        found = {name: await browser.get(path) for name, path in paths.items()}
    assert {name: page.status_code for name, page in found.items()} == dict.fromkeys(paths, 200)
    assert [name for name, page in found.items() if personal_in(page.text)] == []
    assert [name for name, page in found.items() if "[erased]" not in page.text] == ["open"]
    assert "Nobody can be contacted any more" in found["open"].text
    assert "Nobody can be contacted any more" not in found["task"].text
    assert "tel:" not in found["open"].text


async def test_the_interface_says_that_it_was_erased_and_nothing_more(desk: Forgetful) -> None:
    task = await maya(desk)
    await desk.forget(task)

    async with desk.browsing("ana") as browser:
        shown = (await browser.get(f"/v1/tasks/{task.id}")).json()
        life = (await browser.get(f"/v1/customers/{task.person_ref}")).json()

    assert "erased" in shown["flags"]
    assert (shown["customer"], shown["comment"]) == (None, None)
    assert [line["erased"] for line in shown["history"] if line["act"] == "notes"] == [True]
    assert (life["erased"], life["customer"]) == (True, None)
    assert [e["erased"] for e in life["events"] if e["kind"] == "answer"] == [True]
    assert personal_in(json.dumps([shown, life])) == []


async def test_words_about_a_forgotten_customer_are_not_kept(desk: Forgetful) -> None:
    task = await maya(desk)
    await desk.hear(desk.erased(task.person_ref, task.response_id, whole=False))

    await desk.act(task, AddNote(text=NOTE))

    last = (await desk.rows(task_history))[-1]
    assert (last["act"], last["sealed_words"]) == ("notes", None)


async def test_when_their_time_is_over_only_these_responses_go(desk: Forgetful) -> None:
    old = await maya(desk)
    await desk.act(old, Close(reason="not_needed", note=NOTE))
    await desk.hears("Late again.", customer="c-maya", block=BLOCK, score=1)

    await desk.hear(
        desk.erased(old.person_ref, old.response_id, whole=False, reason="retention")
    )

    async with desk.browsing("ana") as browser:
        life = await browser.get(f"/customers/{old.person_ref}")
        answers = (await browser.get(f"/v1/customers/{old.person_ref}")).json()["events"]
    assert "Late again." in life.text
    assert personal_in(life.text) == [BLOCK["name"]]
    by_id = {e["response_id"]: e["erased"] for e in answers if e["kind"] == "answer"}
    assert by_id[old.response_id] is True
    assert [gone for one, gone in by_id.items() if one != old.response_id] == [False]
    assert "because their time was over" in life.text


async def test_what_comes_late_counts_and_brings_nobody_back(desk: Forgetful) -> None:
    task = await maya(desk)
    late = await desk.response(comment=COMMENT, customer="c-maya", block=BLOCK, score=0)
    again = late.model_copy(update={"response_id": task.response_id, "revision": 2, "score": 0})
    await desk.forget(task)

    await desk.take_in(late, again)

    stored = {row["id"]: row for row in await desk.rows(responses)}
    assert [stored[one]["score"] for one in (late.response_id, task.response_id)] == [0, 0]
    assert {row["sealed_person"] for row in stored.values()} == {FORGOTTEN}
    assert len(await desk.rows(tasks)) == 1
    assert await desk.rows(search) == []
    assert (await desk.rows(tasks))[0]["sealed_person"] == FORGOTTEN


async def test_the_order_of_a_poll_is_kept(desk: Forgetful) -> None:
    task = await maya(desk)
    again = await desk.response(
        comment=NOTE, customer="c-maya", response_id=task.response_id, revision=2, score=0
    )

    await desk.hear(
        desk.arrived(again), desk.erased(task.person_ref, task.response_id, whole=False)
    )
    assert {row["sealed_person"] for row in await desk.rows(responses)} == {FORGOTTEN}

    third = again.model_copy(update={"revision": 3})
    await desk.hear(
        desk.erased(task.person_ref, task.response_id, whole=False), desk.arrived(third)
    )
    (stored,) = await desk.rows(responses)
    assert stored["sealed_person"] == third.person


async def test_the_index_worker_brings_nothing_back(desk: Forgetful) -> None:
    task = await maya(desk)
    await desk.hear(desk.erased(task.person_ref, task.response_id, whole=False))

    worker = IndexWorker(desk.loop)
    while await worker.step():
        pass

    assert await desk.rows(search) == []


async def test_what_could_not_be_handled_loses_the_person_and_keeps_the_facts(
    desk: Forgetful,
) -> None:
    task = await maya(desk)
    stuck = await desk.response(comment=COMMENT, customer="c-maya", block=BLOCK, score=0)
    other = await desk.response(comment="Fine.", customer="c-jonas")
    await park(desk, "0", task.person_ref, desk.arrived(stuck).envelope.encode())
    await park(desk, "1", task.person_ref, b"{Maya Lindqvist")
    await park(desk, "2", other.person_ref, desk.arrived(other).envelope.encode())

    await desk.forget(task)

    async with desk.database.transaction() as tx:
        table = tx.plumbing.dead_letters
        letters = await list_letters(tx, table, state=None, oldest_first=True)
        assert [str(letter.state) for letter in letters] == ["parked", "discarded", "parked"]
        opened = [await open_letter(tx, letters[n].id, keyring=desk.keyring) for n in (0, 2)]
    assert decode(opened[0].body).data["person"] == FORGOTTEN
    assert decode(opened[0].body).data["score"] == 0
    assert decode(opened[1].body).data["person"] == other.person
    (gone,) = [row for row in await desk.rows(table) if row["state"] == "discarded"]
    assert gone["sealed_body"] == b""


async def park(desk: Forgetful, place: str, key: str, body: bytes) -> None:
    """Park a record as the consumer does that cannot handle it."""
    async with desk.database.transaction() as tx:
        letter = Undeliverable(
            topic=topics.RESPONSES,
            partition=0,
            offset=int(place),
            key=key,
            body=body,
            headers={},
            error="KeyError at somewhere.py:1",
            digest="0" * 64,
            tries=3,
        )
        await dead_letter.park(
            tx, [letter], consumer="loop", keyring=desk.keyring, now=desk.clock.now()
        )
    desk.clock.advance(timedelta(seconds=1))


async def test_a_copy_of_what_is_known_holds_every_word_of_theirs(desk: Forgetful) -> None:
    task = await maya(desk)
    await desk.hears("Not Maya's.", customer="c-jonas")
    request_id = await desk.request("export", task.person_ref)
    event = CustomerExportRequested(request_id=request_id, person_ref=task.person_ref)

    await desk.hear(desk.arrived(event))

    async with desk.database.reading() as view:
        (person,) = await archive_of(view, request_id, desk.person_keys)
    known = person["loop"]
    assert [one["id"] for one in known["responses"]] == [task.response_id]
    assert known["responses"][0]["themes"]
    (case,) = known["tasks"]
    said = {line["act"]: line["words"] for line in case["history"] if line["words"]}
    assert said["notes"] == {"text": NOTE}
    assert said["agreement"]["agreed"] == AGREED
    assert "stf_" not in json.dumps(known)
    assert "team_" not in json.dumps(known)


async def test_of_somebody_erased_meanwhile_nothing_is_handed_out(desk: Forgetful) -> None:
    task = await maya(desk)
    request_id = await desk.request("export", task.person_ref)
    await desk.forget(task)
    event = CustomerExportRequested(request_id=request_id, person_ref=task.person_ref)

    await desk.hear(desk.arrived(event))

    (part,) = await desk.rows(person_request_parts)
    assert (part["persons_done"], part["sealed_part"]) == (1, None)
    assert part["counts"] == {"responses": 0, "tasks": 0}
