"""Quality, checks, proposed words and replays: over the interface and on the pages."""

from __future__ import annotations

from typing import Any

import pytest

from services.loop.jobs import ProposalWork, ReplayWork
from shared.identity.principal import Scope
from tests.adapters.test_queue_views import said
from tests.desk import Desk
from tests.handlers.intake import WAITED
from tests.handlers.test_replays import PRICE
from tests.loop_door import Api
from tests.staff import audited

QUEUE = {"id": "queue", "name": "Queue", "keywords": {"en": ["queue"]}}
QUALITY = "/settings/taxonomy/quality"
CHECK = "/settings/taxonomy/check"
REPLAY = "/settings/taxonomy/replay"


async def judged(api: Api, comment: str, verdict: str, **members: Any) -> None:
    event = await api.intake.response(comment=comment, **members)
    await api.intake.take_in(event)
    path = f"/v1/responses/{event.response_id}/theme-corrections"
    body = {"theme_id": "queue", "verdict": verdict}
    answer = await api.send("POST", path, json=body)
    assert answer.status_code == 200, answer.text


async def test_quality_says_what_it_rests_on(api: Api) -> None:
    await api.send("PUT", "/v1/taxonomy", json={"themes": [QUEUE]})
    for n in range(9):
        await judged(api, "a queue", "right" if n < 6 else "not")
    for _ in range(3):
        await judged(api, "we stood", "also")

    rows = (await api.get("/v1/taxonomy/quality")).json()["data"]
    drawn = (await api.get("/v1/taxonomy/quality", sample="drawn")).json()
    first = (await api.get("/v1/taxonomy/quality", limit=1)).json()
    second = (
        await api.get("/v1/taxonomy/quality", limit=1, cursor=first["next_cursor"])
    ).json()

    whole, english = rows
    assert (whole["theme_id"], whole["name"], whole["language"]) == ("queue", "Queue", None)
    assert english == {**whole, "language": "en"}
    assert (whole["right"], whole["wrong"], whole["missed"]) == (6, 3, 3)
    assert whole["precision"] == {
        "value": 0.6667,
        "n": 9,
        "ci95": [0.3542, 0.8794],
        "enough": False,
    }
    assert whole["recall"] == whole["precision"]
    assert drawn["data"] == []
    assert [*first["data"], *second["data"]] == rows
    assert not second["has_more"]
    bad = await api.get("/v1/taxonomy/quality", sample="chosen")
    assert bad.status_code == 422


async def test_proposed_words_are_accepted_or_rejected(api: Api) -> None:
    await api.send("PUT", "/v1/taxonomy", json={"themes": [QUEUE]})
    for n in range(4):
        await judged(api, "kiosk broken", "also", customer=f"c-{n}")
    await ProposalWork(api.intake.loop).step()

    listed = (await api.get("/v1/taxonomy/proposals")).json()["data"]
    first, second = (f"/v1/taxonomy/proposals/{one['id']}" for one in listed)
    accepted = await api.send("POST", f"{first}/accept")
    rejected = await api.send("POST", f"{second}/reject")

    assert sorted(one["words"] for one in listed) == ["broken", "kiosk"]
    assert {one["support"] for one in listed} == {4}
    assert (accepted.json()["state"], accepted.json()["taxonomy_version"]) == ("accepted", 3)
    assert accepted.json()["replay"] == "/v1/taxonomy/replays"
    assert (rejected.json()["state"], rejected.json()["replay"]) == ("rejected", None)
    words = (await api.get("/v1/taxonomy")).json()["themes"][0]["keywords"]["en"]
    assert words == ["queue", listed[0]["words"]]
    assert (await api.send("POST", f"{first}/accept")).status_code == 409
    assert (await api.send("POST", "/v1/taxonomy/proposals/kwp_x/accept")).status_code == 404
    kept = await api.get("/v1/taxonomy/proposals", state="rejected")
    assert [one["id"] for one in kept.json()["data"]] == [listed[1]["id"]]
    assert (await api.send("POST", f"{second}/reject", Scope.THEMES_READ)).status_code == 403


async def test_a_replay_is_started_followed_and_stopped(api: Api) -> None:
    started = await api.send("POST", "/v1/taxonomy/replays")
    path = started.headers["location"]
    other = await api.send("POST", "/v1/taxonomy/replays")
    paused = await api.send("POST", f"{path}/pause")
    resumed = await api.send("POST", f"{path}/resume")
    stopped = await api.send("POST", f"{path}/stop")
    again = await api.send("POST", f"{path}/resume")

    assert started.status_code == 202
    assert (other.status_code, other.json()["state"]) == (409, "running")
    states = [one.json()["state"] for one in (started, paused, resumed, stopped)]
    assert states == ["running", "paused", "running", "stopped"]
    assert (again.status_code, again.json()["state"]) == (409, "stopped")
    assert (await api.get(path)).json() == stopped.json()
    assert (await api.get("/v1/taxonomy/replays/rpl_none")).status_code == 404
    listed = (await api.get("/v1/taxonomy/replays")).json()
    assert listed["data"] == [stopped.json()]
    names = [name for name in await audited(api.intake.database) if name.startswith("replay")]
    assert names == ["replay.started", "replay.paused", "replay.resumed", "replay.stopped"]


# ------------------------------------------------------------------ pages


async def test_a_drawn_comment_is_checked_on_its_page(desk: Desk) -> None:
    await desk.hears(f"{WAITED}, says Anna Berg", block={"name": "Anna Berg"})

    async with desk.browsing("ada") as browser:
        empty = await browser.get(QUALITY)
        page = await browser.get(CHECK)
        response_id = page.text.partition('name="response_id" value="')[2].partition('"')[0]
        unsaid = await browser.post(CHECK, data={"response_id": response_id})
        done = await browser.post(
            CHECK,
            data={"response_id": response_id, "theme0": "right", "also1": "price"},
            follow_redirects=True,
        )
        figures = await browser.get(f"{QUALITY}?of=drawn")

    assert "Nothing was judged yet" in said(empty)
    assert WAITED in said(page)
    assert "Anna" not in page.text
    assert unsaid.status_code == 422
    assert WAITED in said(unsaid)
    assert "Nothing left to check" in said(done)
    assert "Waiting" in said(figures)
    assert "1 comment was drawn and checked." in said(figures)
    names = await audited(desk.database)
    assert names.count("theme.corrected") == 2


async def test_words_are_decided_about_on_the_page(desk: Desk) -> None:
    ids = []
    for n in range(4):
        task = await desk.hears("kiosk broken", customer=f"c-{n}")
        ids.append(task.response_id)
    async with desk.browsing("ada") as browser:
        for one in ids:
            door = "/themes/waiting/corrections"
            await browser.post(door, data={"response_id": one, "verdict": "also"})
        await ProposalWork(desk.loop).step()
        page = await browser.get(QUALITY)
        listed = (await browser.get("/v1/taxonomy/proposals")).json()["data"]
        for one, decision in zip(listed, ("accepted", "rejected"), strict=True):
            answer = await browser.post(
                "/settings/taxonomy/proposals", data={"id": one["id"], "decision": decision}
            )
            assert answer.headers["location"] == f"{QUALITY}?done={decision}#proposals"
        again = await browser.post(
            "/settings/taxonomy/proposals",
            data={"id": listed[0]["id"], "decision": "accepted"},
            follow_redirects=True,
        )
        nothing = await browser.post("/settings/taxonomy/proposals", data={"decision": "x"})

    assert "kiosk" in said(page)
    assert "4 customers meant it" in said(page)
    assert "Somebody has decided about these words already." in said(again)
    assert nothing.headers["location"] == QUALITY
    names = await audited(desk.database)
    assert "taxonomy.changed" in names
    assert "proposal.rejected" in names


async def test_history_is_read_again_from_the_page(desk: Desk) -> None:
    await desk.hears("What a price")
    async with desk.browsing("ada") as browser:
        await browser.put("/v1/taxonomy", json={"themes": [{**PRICE, "name": "Price"}]})
        before = await browser.get(REPLAY)
        started = await browser.post(REPLAY, data={"a": "b"}, follow_redirects=True)
        other = await browser.post(REPLAY, data={"a": "b"})
        replay_id = started.text.partition('name="id" value="')[2].partition('"')[0]
        paused = await browser.post(
            f"{REPLAY}/pause", data={"id": replay_id}, follow_redirects=True
        )
        await browser.post(f"{REPLAY}/resume", data={"id": replay_id})
        worker = ReplayWork(desk.loop)
        while await worker.step():
            pass
        after = await browser.get(REPLAY)
        over = await browser.post(f"{REPLAY}/stop", data={"id": replay_id})
        wrong = await browser.post(f"{REPLAY}/dance", data={"id": replay_id})

    assert "progress" not in before.text
    assert "0 of 1 comments" in said(started)
    assert other.headers["location"].endswith("done=other")
    assert "The replay is paused." in said(paused)
    assert "Ada Admin" in said(after)
    assert "done" in said(after)
    assert over.headers["location"].endswith("done=over")
    assert wrong.status_code == 404
    assert "replay.stopped" not in await audited(desk.database)


@pytest.mark.parametrize(
    ("nick", "quality", "check", "start"),
    [("ada", 200, 200, 303), ("ana", 200, 403, 403), ("bea", 200, 403, 403)],
)
async def test_who_may_look_and_who_may_act(
    desk: Desk, nick: str, quality: int, check: int, start: int
) -> None:
    async with desk.browsing(nick) as browser:
        assert (await browser.get(QUALITY)).status_code == quality
        assert (await browser.get(REPLAY)).status_code == quality
        assert (await browser.get(CHECK)).status_code == check
        assert (await browser.post(REPLAY, data={"a": "b"})).status_code == start
        for door in ("/settings/taxonomy/proposals", f"{REPLAY}/stop"):
            answer = await browser.post(door, data={"id": "x", "decision": "rejected"})
            assert (answer.status_code == 403) == (start == 403)
