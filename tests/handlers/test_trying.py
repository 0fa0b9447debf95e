"""What a trial of the last 90 days says is what taking in would have done, and did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from services.loop.journey.domain import Absence, OwnerRef, Ownership, Touchpoint
from services.loop.journey.handlers import add_touchpoint, plan_ownership
from services.loop.journey.store import add_absence
from services.loop.tasks.domain.acts import Close
from services.loop.tasks.domain.rulebooks import SHIPPED
from services.loop.tasks.domain.trial import Promise, Trial
from services.loop.tasks.handlers import act_on
from services.loop.tasks.handlers.ruling import change_book
from services.loop.tasks.handlers.trying import PERIOD, try_out
from services.loop.tasks.store import first_owners
from services.loop.tasks.tables import schemes, tasks
from shared.db.transaction import Database
from shared.identity.audit import SYSTEM
from shared.identity.defaults import ensure_defaults
from shared.identity.groups import DEFAULT_TEAM
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal, Role, Scope
from shared.ids import new_id
from shared.sealing import Keyring
from shared.settings import Settings
from tests.fakes import ManualClock
from tests.handlers.intake import Intake
from tests.staff import staff

MACHINE = Principal(kind="key", id="key_1", name="tests", scopes=frozenset(Scope))
QUICK = {
    "id": "quick",
    "name": "Two hours",
    "version": 1,
    "first_contact_within_hours": 1,
    "resolve_within_hours": 2,
    "remind_at": 0.5,
    "attempts": 1,
}
CUSTOMERS = 4


@pytest_asyncio.fixture
async def house(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> House:
    made = House(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    return made


class House(Intake):
    """Loop with three colleagues and a touchpoint that one of them owns."""

    crew: dict[str, str]

    async def prepare(self) -> None:
        """Hire, and open for business."""
        await super().prepare()
        now = self.clock.now()
        async with self.database.transaction() as tx:
            await ensure_defaults(tx, Settings(), now)
            await tx.execute(
                schemes.insert().values(
                    id="quick",
                    version=1,
                    document=QUICK,
                    published_at=now,
                    published_by="tests",
                )
            )
        self.crew = {
            nick: (
                await staff(
                    self.database, now, f"{nick}@example.test", name=nick, role=Role.AGENT
                )
            ).id
            for nick in ("ana", "ole", "eva")
        }
        door = Touchpoint(
            code="door",
            name="Door",
            macro=None,
            owner=None,
            department_id=None,
            mapped=True,
            first_seen_at=now,
            version=1,
        )
        async with self.database.transaction() as tx:
            await add_touchpoint(tx, door)
            new = Ownership(
                id="",
                owner=OwnerRef(id=self.crew["ana"], kind="person"),
                department_id=None,
                valid_from=now,
            )
            await plan_ownership(tx, "door", new, expected=None, by=SYSTEM, now=now)

    async def publish(self, rules: list[dict[str, Any]], **more: Any) -> None:
        """Let these rules apply."""
        async with self.database.transaction() as tx:
            await change_book(
                tx,
                lambda book: {**book, "rules": rules, **more},
                expected=None,
                by=MACHINE,
                now=self.clock.now(),
            )

    async def tries(self, book: dict[str, Any] | None = None, **given: Any) -> Trial:
        """Try documents out; without any, those that apply."""
        given = {"schemes": [], "calendars": [], **given}
        async with self.database.reading() as view:
            return await try_out(
                view,
                book=book,
                person_keys=self.person_keys,
                now=self.clock.now(),
                **given,
            )

    async def promises(self) -> list[Promise]:
        """Return the tasks that were really opened, as a trial tells them."""
        rows = await self.rows(tasks)
        async with self.database.reading() as view:
            got = await first_owners(view, [row["id"] for row in rows])
        found = [
            Promise(
                response_id=row["response_id"],
                owner_id=got[row["id"]],
                rule=row["rule"],
                scheme=row["scheme"]["id"],
                opened_at=row["opened_at"],
                first_contact_due_at=row["first_contact_due_at"],
                due_at=row["due_at"],
                answers=1 + len(row["other_responses"]),
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: one.response_id)


def _book(chance: Random, crew: dict[str, str]) -> list[dict[str, Any]]:
    """Return some rules: in any order, for any owner, with any conditions."""
    people = [*crew.values(), DEFAULT_TEAM]
    conditions: list[dict[str, Any]] = [
        {"field": "segment", "op": "in", "value": ["Business", "Gold"]},
        {"field": "touchpoint", "op": "is_not", "value": "door"},
        {"field": "annual_value", "op": "at_least", "value": 1000},
        {"field": "repeat", "op": "is", "value": True},
        {"field": "theme", "op": "is", "value": "waiting"},
        {"field": "has_comment", "op": "is", "value": True},
        {"field": "language", "op": "is", "value": "de"},
        {"field": "score", "op": "at_most", "value": 3},
    ]
    rules: list[dict[str, Any]] = []
    for n in range(chance.randint(1, 6)):
        low = chance.choice([0, 0, 7])
        kind = chance.choice(["touchpoint_owner", "contact_owner", "team", "person"])
        named = {"team": DEFAULT_TEAM, "person": chance.choice([*crew.values()])}.get(kind)
        rules.append(
            {
                "id": f"rule-{n}",
                "name": f"Rule {n}",
                "enabled": chance.random() < 0.9,
                "measurements": ["transactional", "unsolicited"],
                "scores": {"nps": [low, chance.choice([6, 8, 10]) if low == 0 else 10]},
                "unscored": chance.choice([[], ["negative"]]),
                "conditions": chance.sample(conditions, chance.randint(0, 2)),
                "owner": {
                    "kind": kind,
                    "id": named,
                    "deputy": chance.choice([None, *people]),
                },
                "scheme": chance.choice(["standard", "quick"]),
            }
        )
    return rules


def _members(chance: Random) -> dict[str, Any]:
    scored = chance.random() < 0.8
    return {
        "customer": f"c-{chance.randrange(CUSTOMERS)}" if chance.random() < 0.8 else None,
        "score": chance.choice([0, 2, 5, 7, 9]) if scored else None,
        "sentiment": None if scored else chance.choice(["negative", "positive"]),
        "measurement": "transactional" if scored else "unsolicited",
        "segment": chance.choice([None, "business", "Gold", "Private"]),
        "touchpoint": chance.choice([None, "door", "support-call"]),
        "language": chance.choice(["en", "de-AT"]),
        "comment": chance.choice([None, "waited forty minutes", "all fine"]),
        "block": {
            "annual_value": {"amount": chance.choice([10, 5000]), "currency": "EUR"},
            "contact_owner": chance.choice(["eva@example.test", "nobody"]),
        },
    }


@pytest.mark.parametrize("seed", range(8))
async def test_a_trial_says_what_taking_in_did(house: House, seed: int) -> None:
    """Any rules, any answers, any absences, any work: promise by promise the same."""
    chance = Random(seed)
    await house.publish(
        _book(chance, house.crew),
        repeat={"within_days": chance.choice([0, 1, 14]), "share_of_time": 0.5},
    )
    async with house.database.transaction() as tx:
        for nick in ("ana", "ole"):
            begins = house.clock.now() + timedelta(hours=chance.randrange(200))
            await add_absence(
                tx,
                Absence(
                    id=new_id("abs"),
                    staff_id=house.crew[nick],
                    deputy_id=chance.choice([None, *house.crew.values()]),
                    begins_at=begins,
                    ends_at=begins + timedelta(hours=100),
                ),
            )
    for _ in range(30):
        house.clock.advance(timedelta(hours=chance.randrange(1, 20)))
        await house.take_in(await house.response(**_members(chance)))
        waiting = [row["id"] for row in await house.rows(tasks) if row["ended_at"] is None]
        if waiting and chance.random() < 0.3:
            house.clock.advance(timedelta(minutes=30))
            async with house.database.transaction() as tx:
                await act_on(
                    tx,
                    chance.choice(sorted(waiting)),
                    Close(reason="not_needed", note="tried"),
                    by=MACHINE,
                    expected=None,
                    person_keys=house.person_keys,
                    now=house.clock.now(),
                )

    trial = await house.tries()

    done = await house.promises()
    assert sorted(trial.promises, key=lambda one: one.response_id) == done
    assert trial.total.tried == trial.total.live
    assert (trial.only_tried, trial.only_live) == (0, 0)
    assert trial.total.tried.tasks == len(done)
    assert all(pair.tried == pair.live for pair in trial.owners.values())


async def test_other_rules_show_what_would_be_different(house: House) -> None:
    for score in (2, 5, 8):
        house.clock.advance(timedelta(hours=1))
        await house.take_in(await house.response(customer=None, score=score, touchpoint="door"))
    house.clock.advance(timedelta(hours=3))
    strict = {**SHIPPED["rules"][0], "scores": {"nps": [0, 3]}, "scheme": "quick"}
    thanks = {
        **strict,
        "id": "passive",
        "scores": {"nps": [7, 8]},
        "owner": {"kind": "person", "id": house.crew["ole"], "deputy": None},
    }

    trial = await house.tries({**SHIPPED, "rules": [strict, thanks]})

    assert (trial.total.tried.tasks, trial.total.live.tasks) == (2, 2)
    assert (trial.only_tried, trial.only_live) == (1, 1)
    ana, ole = house.crew["ana"], house.crew["ole"]
    assert (trial.owners[ana].tried.tasks, trial.owners[ana].live.tasks) == (1, 2)
    assert (trial.owners[ole].tried.tasks, trial.owners[ole].live.tasks) == (1, 0)
    # Nobody has worked on it for five hours: too late for two hours, in time for a day.
    assert (trial.total.tried.late, trial.total.live.late) == (1, 0)
    assert trial.total.tried.unknown == 1
    assert {rule: pair.tried.tasks for rule, pair in trial.rules.items()} == {
        "unhappy-customer": 1,
        "passive": 1,
    }
    assert len(await house.rows(tasks)) == 2


async def test_another_scheme_or_calendar_is_tried_in_its_place(house: House) -> None:
    await house.take_in(await house.response(customer=None, score=2))
    house.clock.advance(timedelta(hours=5))

    shorter = await house.tries(schemes=[{**QUICK, "id": "standard"}])

    assert (shorter.total.tried.late, shorter.total.live.late) == (1, 0)
    assert shorter.promises[0].due_at - shorter.promises[0].opened_at == timedelta(hours=2)


async def test_what_came_before_the_period_is_left_out(house: House) -> None:
    await house.take_in(await house.response(customer=None, score=2))
    house.clock.advance(PERIOD + timedelta(days=1))
    await house.take_in(await house.response(customer=None, score=2))

    trial = await house.tries()

    assert (trial.responses, trial.total.tried.tasks, trial.total.live.tasks) == (1, 1, 1)
