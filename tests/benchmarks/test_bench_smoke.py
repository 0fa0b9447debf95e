"""The bench measures something: its form is checked here, never its speed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from services.bench.rows import Sizes
from services.bench.run import bench
from shared.errors import NotFound
from tests.benchmarks import impact_speed, privacy_speed
from tests.benchmarks.queue_speed import PATHS, measure

TINY = Sizes(posts=20, batch=20, lines=5, events=20, connections=4)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command sets logging up for its process; other tests share this one."""
    root, ours = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**ours)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize(
    ("only", "unit"), [("post-sqlite", "requests/s"), ("batch", "lines/s")]
)
async def test_a_row_says_what_both_sides_did(capsys, only, unit):
    assert await bench(only=only, rounds=2, as_json=True, sizes=TINY) == 0

    for row in json.loads(capsys.readouterr().out):
        assert only in row["row"]
        assert row["unit"] == unit
        assert row["ours"] > 0
        assert row["baseline"] > 0
        assert row["rounds"] == 2
        low, high = row["spread"]
        assert 0 < low <= high


async def test_a_row_without_its_server_says_what_to_set(capsys, monkeypatch):
    for name in ("CLOSED_LOOP_TEST_POSTGRES", "CLOSED_LOOP_TEST_KAFKA"):
        monkeypatch.delenv(name, raising=False)

    await bench(only="postgresql", rounds=1, as_json=False)
    await bench(only="relay", rounds=1, as_json=True)

    said = capsys.readouterr().out
    assert "set CLOSED_LOOP_TEST_POSTGRES=" in said
    assert "set CLOSED_LOOP_TEST_KAFKA=" in said


async def test_a_row_that_is_none_is_refused():
    with pytest.raises(NotFound, match="post-sqlite"):
        await bench(only="coffee", rounds=1, as_json=True)


async def test_the_queue_is_measured_beside_a_short_one():
    found = await measure(3, 6, 1)

    assert set(found) == set(PATHS)
    assert all(one["few_ms"] > 0 and one["ratio"] > 0 for one in found.values())


async def test_the_outlook_is_measured_beside_a_shorter_one_and_a_search_by_slices():
    found = await privacy_speed.measure(2_000, 2_100, 1_000)

    assert {name for name, value in found.items() if value <= 0} <= {"search_grew_mb"}


async def test_themes_are_measured_with_few_answers_behind_them_and_with_more():
    found = await impact_speed.measure(30, 60, 1)

    assert set(found) == set(impact_speed.PATHS)
    assert all(one["few_ms"] > 0 and one["ratio"] > 0 for one in found.values())
