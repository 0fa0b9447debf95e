"""Every ready sender, as its documentation has it, through the composed door."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from services.ingest import senders
from services.ingest.domain.mappings import Document, Ignored, Rejected, compile_mapping
from services.ingest.domain.payloads import read_payload
from services.ingest.schemas import understand
from services.ingest.senders import (
    GENERIC,
    ready_mapping,
    ready_senders,
    require_ready_mappings,
)
from shared.db.engine import Engines
from shared.errors import Invalid, Misconfigured
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.infra.postgres import PostgresServer
from tests.ingest_door import Door, open_door
from tests.plumbing import SECRET, create_tables
from tests.senders.folders import (
    REQUIRED,
    TYPES,
    Folder,
    Post,
    folders,
    with_more,
    with_odd_values,
)
from tests.senders.hooks import PUBLIC, Hooks

SENDERS = sorted(name for name in ready_senders() if name != GENERIC)
_NAMED_BLOCK = re.compile(
    r"^`([\w/.-]+)`[^\n]*\n(?:[^\n`]+\n)*\n*```(?:yaml|json)\n(.*?)```",
    re.DOTALL | re.MULTILINE,
)

on_sqlite = pytest.mark.parametrize("address", ["sqlite"], indirect=True, scope="module")
through_the_door = pytest.mark.asyncio(loop_scope="module")
every_sender = pytest.mark.parametrize("sender", SENDERS)


# --- what a folder must have ---------------------------------------------------------------


def test_every_sender_has_a_folder_and_every_folder_a_sender() -> None:
    assert sorted(folders()) == SENDERS


@every_sender
def test_a_folder_has_every_case_or_says_why_not(sender: str) -> None:
    folder = folders()[sender]
    said = folder.said["cases"]
    assert set(REQUIRED) <= set(said)
    assert said["valid"], "a sender without a valid answer is none"
    for name in [*said, "verification"]:
        reason = folder.said["verification"] if name == "verification" else said[name]
        assert not isinstance(reason, str) or len(reason) > 20, f"{name}: say why"
    assert len(folder.cases.get("partial_then_complete", [0, 0])) >= 2
    declared = ready_senders()[sender].get("signature")
    assert (declared is None) is (folder.sign is None)
    assert ready_senders()[sender]["documentation"]
    used = {call["post"] for case in said.values() if isinstance(case, list) for call in case}
    used |= {one["post"] for one in folder.questions if "post" in one}
    there = {file.name for file in folder.path.iterdir() if file.suffix in TYPES}
    assert there == used


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("version: 1\nfields: {external_id: id, scor: s}", "acme.yaml: .*/fields/scor"),
        ("version: 1\nfields: [", "acme.yaml is no YAML .line 2"),
        ("", "acme.yaml: "),
    ],
)
def test_a_file_that_is_no_mapping_stops_the_start_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    (tmp_path / "acme.yaml").write_text(text, "utf-8")
    monkeypatch.setattr(senders, "files", lambda _: tmp_path)
    ready_senders.cache_clear()
    ready_mapping.cache_clear()
    try:
        with pytest.raises(Misconfigured, match=says):
            require_ready_mappings()
    finally:
        ready_senders.cache_clear()
        ready_mapping.cache_clear()


# --- what a mapping reads --------------------------------------------------------------------

ALL_CASES = [
    pytest.param(sender, case, id=f"{sender}-{case}")
    for sender, folder in folders().items()
    for case in folder.cases
]


@pytest.mark.parametrize(("sender", "case"), ALL_CASES)
def test_a_payload_says_what_its_case_states(sender: str, case: str) -> None:
    for post in folders()[sender].cases[case]:
        assert [_shown(one) for one in _read(sender, post)] == list(post.gives)


def test_the_page_on_adding_a_sender_works_as_it_stands(tmp_path: Path) -> None:
    page = Path("docs/add-a-sender.md").read_text("utf-8")
    for name, block in _NAMED_BLOCK.findall(page):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(block, "utf-8")
    (file,) = tmp_path.glob("*.yaml")
    mapping = compile_mapping(yaml.safe_load(file.read_text("utf-8")), senders=ready_senders())
    folder = Folder.at(tmp_path / file.stem)
    assert set(folder.said["cases"]) == set(REQUIRED)
    for post in [post for posts in folder.cases.values() for post in posts]:
        payload = read_payload(post.body, post.headers["content-type"])
        assert [_shown(one) for one in mapping.read(payload, {}, {})] == list(post.gives)


@every_sender
def test_an_answer_is_recognised_without_settings(sender: str) -> None:
    for post in folders()[sender].cases["valid"]:
        payload = read_payload(post.body, post.headers["content-type"])
        headers = {name.lower(): value for name, value in post.headers.items()}
        by = [name for name in SENDERS if ready_mapping(name).recognises(payload, headers, {})]
        assert by == [sender]


@every_sender
def test_members_that_nobody_expects_change_nothing(sender: str) -> None:
    for post in folders()[sender].cases["valid"]:
        assert [_shown(one) for one in _read(sender, with_more(post))] == list(post.gives)


@every_sender
def test_no_payload_of_another_shape_breaks_a_mapping(sender: str) -> None:
    values: tuple[Any, ...] = (
        None, True, 0, "", "x", [], {}, [[]], [None], [1], {"data": []}, {"data": 1},
    )  # fmt: skip
    for value in values:
        for one in ready_mapping(sender).read(value, {}, {}):
            assert not isinstance(one, Document)


@every_sender
def test_what_is_wrong_with_one_of_a_list_costs_no_other(sender: str) -> None:
    for post in folders()[sender].cases["valid"]:
        payload = json.loads(post.body)
        headers = {name.lower(): value for name, value in post.headers.items()}
        one = payload if isinstance(payload, list) else [payload]
        read = ready_mapping(sender).read([*one, "x", None, {"x": 1}, *one], headers, {})

        assert [_shown(each) for each in read[: len(post.gives)]] == list(post.gives)
        assert [_shown(each) for each in read[-len(post.gives) :]] == list(post.gives)
        others = read[len(post.gives) : -len(post.gives)]
        assert len(others) == 3
        assert all(isinstance(each, Rejected) and each.path for each in others)


@every_sender
def test_whatever_one_value_is_the_answer_is_read_or_refused(sender: str) -> None:
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    for post in folders()[sender].cases["valid"]:
        for payload in with_odd_values(json.loads(post.body)):
            for one in ready_mapping(sender).read(payload, {}, {}):
                if isinstance(one, Document):
                    with suppress(Invalid):
                        understand(one.members, now=now)


# --- through the door ------------------------------------------------------------------------


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of one database for all tests here: every source is used by one test only."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('senders')}/closed-loop.db"
        return
    template: str = request.getfixturevalue("postgres_template")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create_database(template=template)
    yield server.url(name)
    server.drop_database(name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(address: str) -> AsyncIterator[Door]:
    if address.startswith("sqlite"):
        await create_tables(address)
    engines = Engines.open(address)
    keyring = Keyring(SECRET)
    async with open_door(engines, ManualClock(), keyring, PersonKeys(keyring)) as opened:
        yield opened
    await engines.close()


@through_the_door
@every_sender
async def test_every_case_is_answered_as_it_states(door: Door, sender: str) -> None:
    folder = folders()[sender]
    for case, posts in folder.cases.items():
        hooks = await Hooks(door, folder).open(f"{sender}-{case.replace('_', '-')}")
        for post in posts:
            results = await hooks.results(post)
            assert [_told(one) for one in results] == [_expected(one) for one in post.gives]
            taken = [one for one in results if one["status"] == "accepted"]
            for result, document in zip(taken, post.documents, strict=True):
                _agrees(await hooks.found(result["id"]), document)


@through_the_door
@on_sqlite
@every_sender
async def test_a_repeated_call_is_a_duplicate(door: Door, sender: str) -> None:
    hooks = await Hooks(door, folders()[sender]).open(f"{sender}-again")
    for post in hooks.folder.cases["valid"]:
        first = await hooks.results(post)
        rows = await door.rows()
        door.clock.advance(timedelta(minutes=2))

        again = await hooks.results(post)

        assert [one["status"] for one in again] == ["duplicate"] * len(first)
        assert [one["id"] for one in again] == [one["id"] for one in first]
        assert await door.rows() == rows


@through_the_door
@every_sender
async def test_parts_meet_in_one_response(door: Door, sender: str) -> None:
    hooks = await Hooks(door, folders()[sender]).open(f"{sender}-parts")
    posts = hooks.folder.cases.get("partial_then_complete", [])
    ids: set[str] = set()
    for post in posts:
        ids |= {one["id"] for one in await hooks.results(post) if "id" in one}
        door.clock.advance(timedelta(minutes=1))
    assert len(ids) == (1 if posts else 0)


@through_the_door
@every_sender
async def test_a_revision_wins_in_whatever_order_it_arrives(door: Door, sender: str) -> None:
    folder = folders()[sender]
    posts = folder.cases.get("revised", [])
    last = posts[-1].documents if posts else []
    for order in [posts, posts[::-1]] if folder.keeps_order else [posts]:
        hooks = await Hooks(door, folder).open(
            f"{sender}-{'there' if order is posts else 'back'}"
        )
        results = [one for post in order for one in await hooks.results(post)]
        assert [one["status"] for one in results] == ["accepted"] * len(results)
        ids = dict.fromkeys(one["id"] for one in results)
        assert len(ids) == len(last)
        for response_id, document in zip(ids, last, strict=True):
            _agrees(await hooks.found(response_id), document)


@through_the_door
@on_sqlite
@every_sender
async def test_a_wrong_proof_gets_nothing_in(door: Door, sender: str) -> None:
    hooks = await Hooks(door, folders()[sender]).open(f"{sender}-unproven")
    (post,) = hooks.folder.cases["valid"][:1]
    before = await door.rows()

    if hooks.folder.secret is None:
        hooks.path = f"/v1/hooks/{sender}-unproven/cl_live_not_a_key_of_this_source"
        answers = [await hooks.send(post)]
        hooks.path = f"/v1/hooks/{sender}-unproven"
        answers.append(await hooks.send(post))
    else:
        other = hooks.folder.secret[:-4] + "AAA="
        broken = {
            name: value[:-6] + ("A" * 5 if value[-6:-1] != "A" * 5 else "B" * 5) + value[-1]
            for name, value in hooks.folder.signed(
                "POST", PUBLIC + hooks.path, post.body, door.clock.now()
            ).items()
        }
        answers = [
            await hooks.send(post, secret=other),
            await hooks.send(post, body=post.body.replace(b"e", b"3", 1)),
            await hooks.send(post, proof=broken),
            await hooks.send(post, proof={}),
        ]

    assert {answer.status_code for answer in answers} == {401}
    said = [{**answer.json(), "request_id": "", "instance": ""} for answer in answers]
    assert said == [said[0]] * len(said)
    assert await door.rows() == before


@through_the_door
@on_sqlite
@every_sender
async def test_a_call_of_long_ago_is_not_taken_again(door: Door, sender: str) -> None:
    hooks = await Hooks(door, folders()[sender]).open(f"{sender}-late")
    (post,) = hooks.folder.cases["valid"][:1]
    now = door.clock.now()
    for off, late in ((timedelta(minutes=4, seconds=59), False), (timedelta(minutes=6), True)):
        for at in (now - off, now + off):
            answer = await hooks.send(post, at=at)
            refused = late and hooks.folder.says_when_signed
            assert answer.status_code == (401 if refused else 202)


@through_the_door
@on_sqlite
@every_sender
async def test_what_a_sender_asks_of_an_address_is_answered(door: Door, sender: str) -> None:
    folder = folders()[sender]
    hooks = await Hooks(door, folder).open(f"{sender}-asking")
    before = await door.rows()
    for asked in folder.questions:
        post = folder.post(asked) if "post" in asked else None
        answer = await door.client.request(
            asked["method"],
            hooks.path,
            params=asked.get("query"),
            content=post.body if post else None,
            headers=dict(post.headers) if post else None,
        )
        assert answer.status_code == asked["status"], answer.text
        assert answer.text == asked.get("text", "")
    assert await door.rows() == before


# --- in words of a case ----------------------------------------------------------------------


def _read(sender: str, post: Post) -> list[Any]:
    payload = read_payload(post.body, post.headers["content-type"])
    headers = {name.lower(): value for name, value in post.headers.items()}
    return list(ready_mapping(sender).read(payload, headers, {}))


def _shown(one: Document | Ignored | Rejected) -> Mapping[str, Any]:
    match one:
        case Document():
            return one.members
        case Ignored():
            return {"ignored": one.reason}
        case Rejected():
            return {"rejected": one.reason, "pointer": one.pointer, "path": one.path}


def _expected(gives: Mapping[str, Any]) -> Mapping[str, Any]:
    return gives if "external_id" not in gives else {"accepted": True}


def _told(result: Mapping[str, Any]) -> Mapping[str, Any]:
    match result["status"]:
        case "ignored":
            return {"ignored": result["reason"]}
        case "rejected":
            assert result["detail"]
            return {
                "rejected": result["reason"],
                "pointer": result["pointer"],
                "path": result["path"],
            }
        case status:
            return {status: True}


def _agrees(found: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    assert found["external_id"] == document["external_id"]
    assert found["score"] == document.get("score")
    assert found["metric"] == document.get("metric", "nps")
    if "answered_at" in document:
        moments = (found["answered_at"], document["answered_at"])
        shown, stated = (datetime.fromisoformat(one) for one in moments)
        assert shown == stated
