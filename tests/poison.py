"""Records that nobody can handle, in every shape that somebody has published somewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.events.envelope import wrap
from shared.events.loop import ResponseHandled
from shared.ids import new_id


def a_good_one(n: int, at: datetime) -> bytes:
    """Return the record of an event that can be handled, with its number in it."""
    event = ResponseHandled(response_id=f"rsp_{n}", revision=1, state="no_action")
    return wrap(event, event_id=new_id("evt"), at=at).encode()


def _changed(**members: Any) -> Callable[[dict[str, Any]], bytes]:
    """Return what changes members of a good record; ``None`` takes one away."""

    def change(good: dict[str, Any]) -> bytes:
        whole = {**good, **members}
        return json.dumps({k: v for k, v in whole.items() if v is not None}).encode()

    return change


def _as_text(change: Callable[[str], bytes]) -> Callable[[dict[str, Any]], bytes]:
    return lambda good: change(json.dumps(good))


SHAPES: Mapping[str, Callable[[dict[str, Any]], bytes | None]] = {
    "no value": lambda _: None,
    "nothing": lambda _: b"",
    "one byte": lambda _: b"\x00",
    "not utf-8": lambda _: b"\xff\xfe{}",
    "utf-16": _as_text(lambda text: text.encode("utf-16")),
    "cut off": _as_text(lambda text: text[: len(text) // 2].encode()),
    "two in one": _as_text(lambda text: (text + text).encode()),
    "not an object": lambda _: b"[]",
    "null": lambda _: b"null",
    "nested a thousand deep": lambda _: b"[" * 100_000,
    "avro": lambda _: b"Obj\x01\x04\x14avro.codec",
    "another specification": _changed(specversion="2.0"),
    "no id": _changed(id=None),
    "an empty id": _changed(id=""),
    "an id of many pages": _changed(id="x" * 5_000),
    "an id that rings": _changed(id="evt_\u0007"),
    "no type": _changed(type=None),
    "a type of the next version": _changed(type="response.handled.v99"),
    "a type of somebody else": _changed(type="com.example.order"),
    "no time": _changed(time=None),
    "a time that never was": _changed(time="2026-02-30T25:61:00Z"),
    "no data": _changed(data=None),
    "data as a text": _changed(data="eyJ9"),
    "data of another event": _changed(data={"order": 1}),
    "a number where a text belongs": _changed(
        data={"response_id": 7, "revision": "one", "state": "no_action"}
    ),
    "a state that does not exist": _changed(
        data={"response_id": "rsp_1", "revision": 1, "state": "vanished"}
    ),
    "half a character": lambda good: json.dumps({**good, "id": "\ud800"}).encode(),
}


def poison(name: str, at: datetime) -> bytes | None:
    """Return the record of this shape."""
    good: dict[str, Any] = json.loads(a_good_one(0, at))
    return SHAPES[name](good)
