"""People, defaults, the secret, erasure: what the shared tables promise, on both databases."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from shared.db.transaction import Database
from shared.errors import Conflict, Invalid, Misconfigured, Stale
from shared.identity import (
    audit,
    defaults,
    erasure,
    groups,
    keys,
    owners,
    passwords,
    people,
    teams,
)
from shared.identity import tables as t
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import ROLE_SCOPES, Role, Scope
from shared.identity.secret import forget_former, load_secret, verify_secret
from shared.sealing import Keyring
from shared.settings import Settings
from tests.staff import staff


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("shared")


# ------------------------------------------------------------------ people


async def test_an_address_belongs_to_one_person_whatever_its_case(database, clock):
    person = await staff(database, clock.now(), " Ann@Example.test ")

    with pytest.raises(Conflict):
        await staff(database, clock.now(), "ANN@example.TEST")

    async with database.reading() as view:
        assert await people.find_staff(view, "ANN@EXAMPLE.TEST") == person
    assert person.email == "ann@example.test"


@pytest.mark.parametrize(
    "email",
    ["", "ann", "@example.test", "ann@", "a@b@c", "a,b@example.test", "a\nBcc: x@example.test",
     "ann smith@example.test", "<ann@example.test>", "a" * 250 + "@example.test"],
)  # fmt: skip
async def test_what_is_no_address_is_refused_without_repeating_it(database, clock, email):
    with pytest.raises(Invalid) as refused:
        await staff(database, clock.now(), email)

    said = str([refused.value.detail, refused.value.findings])
    assert email == "" or email not in said


async def test_a_name_cannot_carry_control_characters(database, clock):
    with pytest.raises(Invalid):
        await staff(database, clock.now(), name="Ann\x1b[31m")


async def test_owners_are_found_together_whatever_their_kind(database, clock):
    person = await staff(database, clock.now())
    async with database.transaction() as tx:
        group = await teams.create_team(tx, name="Repairs", now=clock.now())

    async with database.reading() as view:
        found = await owners.owners(view, [person.id, group.id, "stf_unknown"])
        wrong_kind = await owners.find_owner(view, person.id, "team")

    assert {owner.id: owner.kind for owner in found.values()} == {
        person.id: "person",
        group.id: "team",
    }
    assert wrong_kind is None


async def test_a_message_to_a_team_goes_to_its_box_else_its_members_else_the_administrator(
    database, clock
):
    now = clock.now()
    admin = await staff(database, now, "admin@example.test", role=Role.ADMIN, language="de")
    member = await staff(database, now, "bo@example.test", name="Bo")
    async with database.transaction() as tx:
        group = await teams.create_team(tx, name="Repairs", now=now)

    async def addresses() -> list[str]:
        async with database.reading() as view:
            return [r.email for r in await owners.addresses_of(view, group.id, "team")]

    assert await addresses() == [admin.email]
    async with database.transaction() as tx:
        await teams.add_member(tx, group.id, member.id, now=now)
        await teams.add_member(tx, group.id, member.id, now=now)
    assert await addresses() == [member.email]
    async with database.transaction() as tx:
        await people.disable_staff(tx, member.id, now=now)
    assert await addresses() == [admin.email]
    async with database.transaction() as tx:
        await teams.update_team(tx, group.id, now=now, email="repairs@example.test")
    assert await addresses() == ["repairs@example.test"]
    async with database.transaction() as tx:
        await teams.update_team(tx, group.id, now=now, email="")
    assert await addresses() == [admin.email]


async def test_a_message_to_somebody_who_left_goes_to_the_first_administrator(database, clock):
    admin = await staff(database, clock.now(), "admin@example.test", role=Role.ADMIN)
    gone = await staff(database, clock.now(), "gone@example.test", language="de")
    async with database.reading() as view:
        before = await owners.addresses_of(view, gone.id, "person")
    async with database.transaction() as tx:
        await people.disable_staff(tx, gone.id, now=clock.now())

    async with database.reading() as view:
        after = await owners.addresses_of(view, gone.id, "person")

    assert [(r.email, r.language) for r in before] == [("gone@example.test", "de")]
    assert [r.staff_id for r in after] == [admin.id]


async def test_the_last_administrator_stays_one(database, clock):
    now = clock.now()
    first = await staff(database, now, "one@example.test", role=Role.ADMIN)

    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await people.disable_staff(tx, first.id, now=now)
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await people.update_staff(tx, first.id, role=Role.AGENT, now=now)

    await staff(database, now, "two@example.test", role=Role.ADMIN)
    async with database.transaction() as tx:
        assert not (await people.disable_staff(tx, first.id, now=now)).active


async def test_departments_and_teams_have_names_of_their_own(database, clock):
    now = clock.now()
    head = await staff(database, now)
    async with database.transaction() as tx:
        part = await teams.create_department(tx, name="Workshop", now=now, head_id=head.id)
        await teams.create_team(tx, name="Repairs", now=now, department_id=part.id)

    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await teams.create_department(tx, name=" Workshop ", now=now)
    with pytest.raises(Invalid):
        async with database.transaction() as tx:
            await teams.update_department(tx, part.id, head_id="stf_unknown", now=now)
    with pytest.raises(Stale):
        async with database.transaction() as tx:
            await teams.update_department(tx, part.id, name="Works", expected=2, now=now)
    async with database.transaction() as tx:
        assert (
            await teams.update_department(tx, part.id, name="Works", now=now)
        ).name == "Works"


async def test_the_audit_trail_names_ids_and_no_person(database, clock):
    person = await staff(database, clock.now(), "secret.name@example.test", name="Secret Name")
    async with database.transaction() as tx:
        await people.update_staff(tx, person.id, name="Other Name", now=clock.now())

    async with database.reading() as view:
        rows = await view.all(select(t.audit))

    assert [row.action for row in rows] == ["staff.created", "staff.changed"]
    said = str([tuple(row) for row in rows]).lower()
    assert "name@" not in said
    assert "secret name" not in said
    assert all(row.actor_kind == "system" for row in rows)


async def test_every_role_has_rights_and_only_the_administrator_all_of_the_office():
    assert set(ROLE_SCOPES) == set(Role)
    assert all(Scope.RESPONSES_WRITE not in scopes for scopes in ROLE_SCOPES.values())
    assert [r for r, s in ROLE_SCOPES.items() if Scope.SETTINGS_WRITE in s] == [Role.ADMIN]


# ------------------------------------------------------------------ defaults


async def test_the_first_start_makes_team_administrator_and_key_and_later_ones_nothing(
    database, clock
):
    settings = Settings(
        bootstrap_admin=SecretStr("Boss@example.test:short:with colon"),
        bootstrap_api_key=SecretStr("b" * 40),
    )
    for _ in range(2):
        async with database.transaction() as tx:
            await defaults.ensure_defaults(tx, settings, clock.now())

    async with database.reading() as view:
        team = await groups.team(view, groups.DEFAULT_TEAM)
        found = await people.password_hash_of(view, "boss@example.test")
        key = await keys.find_by_plaintext(view, "b" * 40, now=clock.now())
        counted = await view.scalar(select(func.count()).select_from(t.api_keys))
    assert team is not None
    assert (team.name, team.email) == ("Customer care", "boss@example.test")
    assert found is not None
    assert found[0].role is Role.ADMIN
    assert await passwords.verify_password("short:with colon", found[1])
    assert key is not None
    assert (key.source, key.scopes) == ("bootstrap", frozenset(Scope))
    assert counted == 1


async def test_another_bootstrap_key_ends_the_former_one(database, clock):
    for text in ("a" * 40, "b" * 40):
        async with database.transaction() as tx:
            await keys.ensure_bootstrap_key(tx, text, now=clock.now())

    async with database.reading() as view:
        assert await keys.find_by_plaintext(view, "a" * 40, now=clock.now()) is None
        assert await keys.find_by_plaintext(view, "b" * 40, now=clock.now()) is not None


async def test_an_address_that_was_set_for_the_default_team_stays(database, clock):
    settings = Settings(bootstrap_admin=SecretStr("boss@example.test:long enough for all"))
    async with database.transaction() as tx:
        await defaults.ensure_defaults(tx, Settings(), clock.now())
        await teams.update_team(
            tx, groups.DEFAULT_TEAM, email="care@example.test", now=clock.now()
        )
        await defaults.ensure_defaults(tx, settings, clock.now())
        team = await groups.team(tx, groups.DEFAULT_TEAM)

    assert team is not None
    assert team.email == "care@example.test"


# ------------------------------------------------------------------ secret


def of(tmp_path: Path, **more: object) -> Settings:
    values = {"database_url": f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db", **more}
    return Settings.model_validate(values)


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    first = load_secret(of(tmp_path))
    second = load_secret(of(tmp_path))

    kept = tmp_path / "closed-loop.db.secret"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert first.mac("x", "y") == second.mac("x", "y")


def test_a_secret_that_others_can_read_stops_the_start(tmp_path):
    load_secret(of(tmp_path))
    (tmp_path / "closed-loop.db.secret").chmod(0o644)

    with pytest.raises(Misconfigured, match="chmod 600"):
        load_secret(of(tmp_path))


@pytest.mark.parametrize(
    "setting",
    [
        {"database_url": "postgresql+asyncpg://somewhere/closed_loop"},
        {"bus": "kafka://127.0.0.1:9092"},
    ],
)
def test_with_postgresql_or_kafka_a_secret_must_be_given(tmp_path, setting):
    with pytest.raises(Misconfigured, match="CLOSED_LOOP_SECRET"):
        load_secret(of(tmp_path, **setting))

    assert load_secret(of(tmp_path, secret="s" * 32, **setting)).mac("a", "b")
    assert list(tmp_path.iterdir()) == []


async def test_a_wrong_secret_refuses_to_start_and_a_replaced_one_is_remembered(
    database, clock
):
    async def start(keyring: Keyring) -> None:
        async with database.transaction() as tx:
            await verify_secret(tx, keyring, clock.now())

    old, new = "o" * 32, "n" * 32
    await start(Keyring(old))
    await start(Keyring(old))
    with pytest.raises(Misconfigured, match="CLOSED_LOOP_SECRET"):
        await start(Keyring(new))
    await start(Keyring(new, previous=old))
    with pytest.raises(Misconfigured, match="secret rewrap"):
        await start(Keyring(new))
    async with database.transaction() as tx:
        await forget_former(tx)
    await start(Keyring(new))
    with pytest.raises(Misconfigured, match="CLOSED_LOOP_SECRET_PREVIOUS"):
        await start(Keyring(old))


# ------------------------------------------------------------------ erasure and audit


async def test_an_erased_person_has_no_key_and_gets_no_new_one(
    database, clock, person_keys: PersonKeys
):
    ref = person_keys.ref("crm", "42")
    async with database.transaction() as tx:
        assert ref in await person_keys.for_sealing(tx, [ref], now=clock.now())
        assert await erasure.erase_person(tx, ref, clock.now())

    async with database.transaction() as tx:
        assert await person_keys.for_sealing(tx, [ref], now=clock.now()) == {}
        assert await person_keys.for_reading(tx, [ref]) == {}
        assert not await erasure.erase_person(tx, ref, clock.now())
        row = await tx.first(select(t.person_keys).where(t.person_keys.c.ref == ref))
    assert row is not None
    assert row.wrapped_key is None
    assert row.erased_at == clock.now()


async def test_a_person_may_be_erased_before_the_first_word(database, clock, person_keys):
    ref = person_keys.ref("crm", "never heard of")
    async with database.transaction() as tx:
        assert not await erasure.erase_person(tx, ref, clock.now())
        assert await person_keys.for_sealing(tx, [ref], now=clock.now()) == {}


async def test_what_was_sealed_before_anybody_was_named_is_erased_with_the_person(
    database, clock, person_keys: PersonKeys
):
    ref, own, other = person_keys.ref("crm", "42"), "rsp_1", "rsp_2"
    now = clock.now()
    async with database.transaction() as tx:
        await person_keys.for_sealing(tx, [own, other, ref], now=now)
        await person_keys.attribute(tx, {own: ref}, now=now)
        await erasure.erase_person(tx, ref, now)
    async with database.transaction() as tx:
        await person_keys.attribute(tx, {"rsp_3": ref}, now=now)  # after the erasure
        kept = await person_keys.for_reading(tx, [ref, own, other, "rsp_3"])
        again = await person_keys.for_sealing(tx, [own, "rsp_3"], now=now)

    assert kept.keys() == {other}
    assert again == {}


async def test_an_entry_of_the_trail_says_who_what_and_when(database, clock):
    async with database.transaction() as tx:
        key, _ = await keys.create_key(
            tx, source="crm", name="CRM", scopes=[Scope.TASKS_READ], now=clock.now()
        )
        await audit.record(
            tx, key.principal(), "webhook.created", "whk_1", {"detail": "full"}, now=clock.now()
        )

    async with database.reading() as view:
        last = (await view.all(select(t.audit).order_by(t.audit.c.n)))[-1]
    assert (last.actor_kind, last.actor_id) == ("key", key.id)
    assert (last.action, last.subject) == ("webhook.created", "whk_1")
    assert (last.detail, last.at) == ({"detail": "full"}, clock.now())
