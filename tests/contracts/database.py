"""What every database promises to the code above it: SQLite and PostgreSQL behave alike.

A test class of an adapter inherits ``DatabaseContract`` and gives it a fixture ``database``
that belongs to a service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from shared.db import inbox, leases, timers
from shared.db.group import GroupCommit
from shared.db.plumbing import leases as lease_table
from shared.db.plumbing import log
from shared.db.timers import DueTimer, Timer
from shared.db.transaction import Database, Transaction
from shared.errors import TryLater
from shared.events.loop import ResponseHandled

AT = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
PATIENCE = 30.0


def timer(subject: str, *, due_at: datetime = AT, kind: str = "reminder") -> Timer:
    return Timer(kind=kind, subject=subject, due_at=due_at)


async def subjects(database: Database) -> list[str]:
    """Return the subjects of all timers: the effect that these tests look at."""
    async with database.reading() as view:
        table = database.plumbing.timers
        rows = await view.all(select(table.c.subject).order_by(table.c.subject))
    return [row.subject for row in rows]


async def waiting(database: Database) -> int:
    """Return how many events wait in the outbox."""
    async with database.reading() as view:
        count = await view.scalar(select(func.count()).select_from(database.plumbing.outbox))
    return int(count)


class Broken(Exception):
    """What a handler raises here."""


class DatabaseContract:
    """Units of work, their announcements, and the few tables that every service has."""

    async def test_a_clean_exit_commits(self, database: Database) -> None:
        async with database.transaction() as tx:
            await timers.set_all(tx, [timer("a"), timer("b")])

        assert await subjects(database) == ["a", "b"]

    async def test_an_error_rolls_everything_back_and_is_passed_on(
        self, database: Database
    ) -> None:
        with pytest.raises(Broken):
            async with database.transaction() as tx:
                await timers.set_all(tx, [timer("a")])
                tx.announce(
                    ResponseHandled(response_id="rsp_1", revision=1, state="closed"),
                    key="per_1",
                    at=AT,
                )
                raise Broken

        assert await subjects(database) == []
        assert await waiting(database) == 0

    async def test_an_announcement_commits_with_its_rows_and_wakes_once(
        self, database: Database
    ) -> None:
        woken: list[int] = []
        database.on_announcement(lambda: woken.append(1))

        async with database.transaction() as tx:
            await timers.set_all(tx, [timer("a")])
            first = tx.announce(_handled(1), key="per_1", at=AT)
            second = tx.announce(_handled(2), key="per_2", at=AT, cause=first)
            assert await waiting(database) == 0
            assert woken == []

        assert woken == [1]
        async with database.reading() as view:
            rows = await view.all(
                select(database.plumbing.outbox).order_by(database.plumbing.outbox.c.seq)
            )
        assert [(row.event_id, row.key, row.published_at) for row in rows] == [
            (first.id, "per_1", None),
            (second.id, "per_2", None),
        ]
        assert (second.correlationid, second.causationid) == (first.correlationid, first.id)
        assert rows[0].body == first.encode()

    async def test_a_transaction_that_announced_nothing_wakes_nobody(
        self, database: Database
    ) -> None:
        woken: list[int] = []
        database.on_announcement(lambda: woken.append(1))
        async with database.transaction() as tx:
            await timers.set_all(tx, [timer("a")])

        assert woken == []

    async def test_an_event_id_is_announced_once(self, database: Database) -> None:
        with pytest.raises(IntegrityError):
            async with database.transaction() as tx:
                envelope = tx.announce(_handled(1), key="per_1", at=AT)
                tx.announce_again(envelope, topic="t", key="per_1", at=AT)

        assert await waiting(database) == 0

    async def test_after_commit_runs_after_the_commit_and_not_after_a_rollback(
        self, database: Database
    ) -> None:
        ran: list[str] = []
        with pytest.raises(Broken):
            async with database.transaction() as tx:
                tx.after_commit(lambda: ran.append("rolled back"))
                raise Broken
        async with database.transaction() as tx:
            tx.after_commit(lambda: ran.append("committed"))
            assert ran == []

        assert ran == ["committed"]

    async def test_reading_sees_what_is_committed_only(self, database: Database) -> None:
        async with database.transaction() as tx:
            await timers.set_all(tx, [timer("a")])
            assert await subjects(database) == []

    async def test_reading_cannot_write(self, database: Database) -> None:
        table = database.plumbing.timers
        row = {"id": "tmr_1", "kind": "k", "subject": "s", "due_at": AT}
        with pytest.raises(DBAPIError):
            async with database.reading() as view:
                await view.execute(insert(table), row)
        with pytest.raises(DBAPIError):
            async with database.reading() as view:
                await view.execute(update(table).values(kind="x"))

        assert await subjects(database) == []

    async def test_a_view_stays_as_it_was_when_it_was_opened(self, database: Database) -> None:
        """Two reads of one page must not contradict each other."""
        table = database.plumbing.timers
        count = select(func.count()).select_from(table)
        async with database.reading() as view:
            assert await view.scalar(count) == 0
            async with database.transaction() as tx:
                await timers.set_all(tx, [timer("a")])
            assert await view.scalar(count) == 0

        assert await subjects(database) == ["a"]

    @pytest.mark.parametrize(
        "moment",
        [
            AT,
            AT.replace(microsecond=0),
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        ],
        ids=str,
    )
    async def test_a_moment_comes_back_in_utc_to_the_microsecond(
        self, database: Database, moment: datetime
    ) -> None:
        async with database.transaction() as tx:
            await timers.set_all(tx, [timer("a", due_at=moment)])

        async with database.reading() as view:
            back = await view.scalar(select(database.plumbing.timers.c.due_at))
        assert back == moment
        assert back.utcoffset() == timedelta(0)

    async def test_moments_are_compared_as_moments(self, database: Database) -> None:
        """Also when they were written in other zones, or without a fraction."""
        east = timezone(timedelta(hours=14))
        moments = {
            "a": datetime(2026, 3, 2, 8, 59, 59, 999999, tzinfo=UTC),
            "b": datetime(2026, 3, 2, 23, 0, tzinfo=east),
            "c": datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=UTC),
            "d": datetime(999, 3, 2, tzinfo=UTC),
        }
        async with database.transaction() as tx:
            await timers.set_all(tx, [timer(n, due_at=m) for n, m in moments.items()])

        table = database.plumbing.timers
        async with database.reading() as view:
            ordered = await view.all(select(table.c.subject).order_by(table.c.due_at))
            due = await view.all(
                select(table.c.subject).where(
                    table.c.due_at <= datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
                )
            )
        assert [row.subject for row in ordered] == ["d", "a", "b", "c"]
        assert {row.subject for row in due} == {"a", "b", "d"}

    async def test_a_naive_moment_is_refused(self, database: Database) -> None:
        naive = AT.replace(tzinfo=None)
        with pytest.raises(StatementError):
            async with database.transaction() as tx:
                await timers.set_all(tx, [timer("a", due_at=naive)])

        assert await subjects(database) == []

    @pytest.mark.parametrize("text", ["NUL \x00", "half \ud83d"], ids=["nul", "surrogate"])
    async def test_text_that_is_no_text_is_refused(self, database: Database, text: str) -> None:
        with pytest.raises((SQLAlchemyError, UnicodeError)):
            async with database.transaction() as tx:
                await timers.set_all(tx, [timer("fine"), timer(text)])

        assert await subjects(database) == []

    async def test_a_broken_constraint_leaves_the_database_usable(
        self, database: Database
    ) -> None:
        row = {"id": "tmr_1", "kind": "k", "subject": "s", "due_at": AT}
        with pytest.raises(IntegrityError):
            async with database.transaction() as tx:
                await tx.execute(insert(tx.plumbing.timers), [row, row])

        async with database.transaction() as tx:
            await timers.set_all(tx, [timer("a")])
        assert await subjects(database) == ["a"]

    async def test_writers_take_turns(self, database: Database) -> None:
        async def write(n: int) -> None:
            async with database.transaction() as tx:
                await timers.set_all(tx, [timer(f"{n:02}")])
                await asyncio.sleep(0)

        await asyncio.gather(*(write(n) for n in range(40)))

        assert len(await subjects(database)) == 40

    @pytest.mark.parametrize(
        ("value", "taken"),
        [
            ("NUL \x00", False),
            ("half \ud83d", False),
            ("a backslash and u: \\u0000", True),
            ("whole 😀, ☂, \x1f", True),
        ],
    )
    async def test_json_is_taken_by_both_or_by_neither(
        self, database: Database, value: str, taken: bool
    ) -> None:
        headers = {"deep": ["list", {"in": value}]}
        row = {"topic": "t", "offset": 0, "key": "k", "headers": headers, "appended_at": AT}
        if not taken:
            with pytest.raises((SQLAlchemyError, UnicodeError)):
                async with database.transaction() as tx:
                    await tx.execute(insert(log), row)
            return
        async with database.transaction() as tx:
            await tx.execute(insert(log), row)
        async with database.reading() as view:
            assert await view.scalar(select(log.c.headers)) == headers


class CancellingContract:
    """A cancelled caller leaves all of its work or none, and the database usable."""

    async def test_cancelled_callers_never_leave_half_a_transaction(
        self, database: Database
    ) -> None:
        async def write(n: int) -> None:
            async with database.transaction() as tx:
                await timers.set_all(tx, [timer(f"{n:03}-first")])
                tx.announce(_handled(n), key="per_1", at=AT)
                await timers.set_all(tx, [timer(f"{n:03}-second")])

        for n in range(60):
            writing = asyncio.get_running_loop().create_task(write(n))
            for _ in range(n):  # each one is cut off a little later than the one before
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait({writing})

        whole = await subjects(database)
        firsts = [s.removesuffix("-first") for s in whole if s.endswith("-first")]
        seconds = [s.removesuffix("-second") for s in whole if s.endswith("-second")]
        assert firsts == seconds
        assert await waiting(database) == len(firsts)
        async with database.transaction() as tx:
            await timers.set_all(tx, [timer("afterwards")])
        assert "afterwards" in await subjects(database)

    async def test_cancelled_readers_cost_no_connections(self, database: Database) -> None:
        async def look() -> None:
            async with database.reading() as view:
                await view.all(select(database.plumbing.timers))
                await view.all(select(database.plumbing.outbox))

        for n in range(60):
            looking = asyncio.get_running_loop().create_task(look())
            for _ in range(n % 25):
                await asyncio.sleep(0)
            looking.cancel()
            await asyncio.wait({looking})

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(look() for _ in range(30)))


class InboxContract:
    """An event's effect happens once per consumer."""

    @staticmethod
    async def first_time(tx: Transaction, *ids: str, consumer: str = "loop") -> set[str]:
        return await inbox.first_time(tx, consumer=consumer, event_ids=ids, now=AT)

    async def test_an_event_is_new_once_per_consumer(self, database: Database) -> None:
        async with database.transaction() as tx:
            assert await self.first_time(tx, "evt_1", "evt_2", "evt_1") == {"evt_1", "evt_2"}
        async with database.transaction() as tx:
            assert await self.first_time(tx, "evt_2", "evt_3") == {"evt_3"}
            assert await self.first_time(tx, "evt_2", consumer="notify") == {"evt_2"}
            assert await self.first_time(tx) == set()

    async def test_a_rollback_makes_it_new_again(self, database: Database) -> None:
        with pytest.raises(Broken):
            async with database.transaction() as tx:
                await self.first_time(tx, "evt_1")
                raise Broken

        async with database.transaction() as tx:
            assert await self.first_time(tx, "evt_1") == {"evt_1"}

    async def test_of_two_that_handle_the_same_event_at_once_one_wins(
        self, database: Database
    ) -> None:
        async def handle() -> int:
            async with database.transaction() as tx:
                fresh = await self.first_time(tx, *(f"evt_{n}" for n in range(20)))
                await asyncio.sleep(0)
                return len(fresh)

        assert sorted(await asyncio.gather(*(handle() for _ in range(5)))) == [0, 0, 0, 0, 20]

    async def test_a_whole_poll_is_one_question(self, database: Database) -> None:
        ids = [f"evt_{n}" for n in range(1_000)]
        async with database.transaction() as tx:
            assert await self.first_time(tx, *ids) == set(ids)


class LeaseContract:
    """One worker at a time, by the database's own clock."""

    @staticmethod
    async def take(
        database: Database, token: str, *, lasting: timedelta = timedelta(minutes=1)
    ) -> bool:
        async with database.transaction() as tx:
            return await leases.take(tx, "sweep", token=token, lasting=lasting)

    async def test_the_first_has_it_and_may_prolong_it(self, database: Database) -> None:
        assert await self.take(database, "one")
        assert not await self.take(database, "two")
        assert await self.take(database, "one")

    async def test_what_is_given_back_is_free(self, database: Database) -> None:
        await self.take(database, "one")
        async with database.transaction() as tx:
            await leases.give_back(tx, "sweep", token="two")
        assert not await self.take(database, "two")
        async with database.transaction() as tx:
            await leases.give_back(tx, "sweep", token="one")

        assert await self.take(database, "two")

    async def test_it_runs_out_by_itself(self, database: Database) -> None:
        assert await self.take(database, "one", lasting=timedelta(milliseconds=50))

        async with asyncio.timeout(PATIENCE):
            while not await self.take(database, "two"):  # noqa: ASYNC110 - the database's clock
                await asyncio.sleep(0.01)

        assert not await self.take(database, "one")

    async def test_of_many_that_ask_at_once_one_gets_it(self, database: Database) -> None:
        answers = await asyncio.gather(*(self.take(database, f"token {n}") for n in range(12)))

        assert sum(answers) == 1

    async def test_the_moments_are_the_databases_own(self, database: Database) -> None:
        await self.take(database, "one", lasting=timedelta(seconds=100))
        async with database.reading() as view:
            until = await view.scalar(select(lease_table.c.lease_until))

        # Far from the standing clock of these tests, near the machine's.
        assert until > datetime(2026, 6, 1, tzinfo=UTC).timestamp()


class TimerContract:
    """Promises about the future ring once."""

    @staticmethod
    async def claim(
        database: Database, *, now: datetime = AT, lasting: timedelta = timedelta(minutes=1)
    ) -> Sequence[DueTimer]:
        async with database.transaction() as tx:
            return await timers.claim_due(tx, now=now, lasting=lasting)

    @staticmethod
    async def settle(database: Database, due: DueTimer) -> bool:
        async with database.transaction() as tx:
            return await timers.settle(tx, due, now=AT)

    @staticmethod
    async def set_all(database: Database, *some: Timer) -> None:
        async with database.transaction() as tx:
            await timers.set_all(tx, some)

    async def test_what_is_due_rings_earliest_first(self, database: Database) -> None:
        await self.set_all(
            database,
            timer("later", due_at=AT + timedelta(seconds=1)),
            timer("now", due_at=AT),
            timer("long ago", due_at=AT - timedelta(days=1)),
        )

        due = await self.claim(database)

        assert [one.subject for one in due] == ["long ago", "now"]
        assert [await self.settle(database, one) for one in due] == [True, True]
        assert await self.claim(database) == []

    async def test_there_is_one_per_kind_and_subject_and_the_first_stays(
        self, database: Database
    ) -> None:
        await self.set_all(database, timer("a"), timer("a", kind="overdue"))
        await self.set_all(database, timer("a", due_at=AT + timedelta(days=9)))

        due = await self.claim(database)

        assert {(one.kind, one.due_at) for one in due} == {("reminder", AT), ("overdue", AT)}

    async def test_one_that_rang_is_not_set_again(self, database: Database) -> None:
        await self.set_all(database, timer("a"))
        (due,) = await self.claim(database)
        await self.settle(database, due)
        await self.set_all(database, timer("a"))

        assert await self.claim(database) == []

    async def test_a_cancelled_one_does_not_ring(self, database: Database) -> None:
        await self.set_all(database, timer("a"), timer("a", kind="overdue"), timer("b"))
        async with database.transaction() as tx:
            await timers.cancel(tx, ["a"], now=AT)
            await timers.cancel(tx, [], now=AT)

        assert [one.subject for one in await self.claim(database)] == ["b"]

    async def test_one_that_is_cancelled_while_claimed_cannot_be_settled(
        self, database: Database
    ) -> None:
        await self.set_all(database, timer("a"))
        (due,) = await self.claim(database)
        async with database.transaction() as tx:
            await timers.cancel(tx, ["a"], now=AT)

        assert not await self.settle(database, due)

    async def test_a_claim_keeps_others_away_until_it_runs_out(
        self, database: Database
    ) -> None:
        """And then the first one's late answer is refused: it cannot ring twice."""
        await self.set_all(database, timer("a"))
        (lost,) = await self.claim(database, lasting=timedelta(milliseconds=50))

        again: Sequence[DueTimer] = []
        async with asyncio.timeout(PATIENCE):
            while not again:
                await asyncio.sleep(0.01)
                again = await self.claim(database)

        assert not await self.settle(database, lost)
        assert await self.settle(database, again[0])

    async def test_many_that_claim_at_once_share_without_overlap(
        self, database: Database
    ) -> None:
        await self.set_all(database, *(timer(f"{n:03}") for n in range(100)))

        async def claim_some() -> list[str]:
            async with database.transaction() as tx:
                some = await timers.claim_due(
                    tx, now=AT, lasting=timedelta(minutes=1), limit=30
                )
                await asyncio.sleep(0)
                return [one.subject for one in some]

        claimed = [
            s for some in await asyncio.gather(*(claim_some() for _ in range(6))) for s in some
        ]
        for _ in range(6):  # somebody may have looked while the others held everything
            claimed += await claim_some()

        assert sorted(claimed) == [f"{n:03}" for n in range(100)]

    async def test_the_next_one_is_known(self, database: Database) -> None:
        async def following() -> datetime | None:
            async with database.reading() as view:
                return await timers.next_due(view, database.plumbing.timers)

        assert await following() is None
        await self.set_all(database, timer("a", due_at=AT + timedelta(hours=1)), timer("b"))
        assert await following() == AT
        (due,) = await self.claim(database)
        await self.settle(database, due)
        assert await following() == AT + timedelta(hours=1)


class GroupCommitContract:
    """Commands that arrive together share a commit, and nothing else."""

    async def test_each_caller_gets_its_own_result(self, database: Database) -> None:
        group = GroupCommit(database, _set_timers)

        results = await asyncio.gather(*(group.submit(f"{n:03}") for n in range(150)))

        assert results == [f"{n:03} is set" for n in range(150)]
        assert len(await subjects(database)) == 150

    async def test_what_gathers_during_a_commit_is_one_group(self, database: Database) -> None:
        sizes: list[int] = []

        async def work(tx: Transaction, commands: Sequence[str]) -> Sequence[str]:
            sizes.append(len(commands))
            return await _set_timers(tx, commands)

        group = GroupCommit(database, work, most=40)
        first = asyncio.get_running_loop().create_task(group.submit("first"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.gather(*(group.submit(f"{n:03}") for n in range(100)))

        assert await first == "first is set"
        assert sizes[1:] == [40, 40, 20]

    async def test_an_answer_comes_after_the_commit(self, database: Database) -> None:
        group = GroupCommit(database, _set_timers)

        await group.submit("a")

        assert await subjects(database) == ["a"]

    async def test_a_bad_command_fails_alone(self, database: Database) -> None:
        group = GroupCommit(database, _set_timers)

        results = await asyncio.gather(
            *(group.submit(name) for name in ("a", "b", "bad", "c")), return_exceptions=True
        )

        assert results[:2] == ["a is set", "b is set"]
        assert isinstance(results[2], Broken)
        assert results[3] == "c is set"
        assert await subjects(database) == ["a", "b", "c"]

    async def test_trouble_that_time_heals_is_told_to_all_at_once(
        self, database: Database
    ) -> None:
        calls = 0

        async def work(_: Transaction, __: Sequence[str]) -> Sequence[str]:
            nonlocal calls
            calls += 1
            raise TryLater("the disk is full")

        group = GroupCommit(database, work)
        results = await asyncio.gather(
            *(group.submit(str(n)) for n in range(10)), return_exceptions=True
        )

        assert all(isinstance(result, TryLater) for result in results)
        assert calls == 1

    async def test_a_caller_that_left_does_not_disturb_the_others(
        self, database: Database
    ) -> None:
        group = GroupCommit(database, _set_timers)
        loop = asyncio.get_running_loop()
        callers = [loop.create_task(group.submit(name)) for name in ("a", "b", "c")]
        await asyncio.sleep(0)

        callers[1].cancel()
        results = await asyncio.gather(*callers, return_exceptions=True)

        assert results[0] == "a is set"
        assert isinstance(results[1], asyncio.CancelledError)
        assert results[2] == "c is set"
        assert await group.submit("d") == "d is set"


def _handled(n: int) -> ResponseHandled:
    return ResponseHandled(response_id=f"rsp_{n}", revision=1, state="no_action")


async def _set_timers(tx: Transaction, commands: Sequence[str]) -> Sequence[str]:
    for command in commands:
        if command == "bad":
            raise Broken
    await timers.set_all(tx, [timer(command) for command in commands])
    return [f"{command} is set" for command in commands]
