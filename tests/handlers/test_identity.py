"""People, keys, sessions, secrets: what the shared tables promise, on both databases."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from shared.db.transaction import Database
from shared.errors import Conflict, Invalid, Misconfigured, NotFound, TooMany, Unauthenticated
from shared.identity import audit, defaults, erasure, keys, passwords, people, sessions, teams
from shared.identity import tables as t
from shared.identity.key_cache import KeyCache
from shared.identity.limits import Allowance
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import ROLE_SCOPES, Role, Scope
from shared.identity.secret import load_secret, verify_secret
from shared.identity.sign_in import PER_ACCOUNT, PER_ADDRESS, WINDOW, sign_in
from shared.sealing import Keyring
from shared.settings import Settings
from tests.fakes import ManualClock

PASSWORD = "correct horse battery"


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("shared")


@pytest.fixture(scope="session")
def password_hash() -> str:
    return passwords._hash(PASSWORD)


async def staff(
    database: Database, now: datetime, email: str = "ann@example.test", **more: Any
) -> people.Staff:
    values: dict[str, Any] = {"name": "Ann Archer", "role": Role.STAFF, **more}
    async with database.transaction() as tx:
        return await people.create_staff(tx, email=email, now=now, **values)


async def audited(database: Database) -> list[str]:
    async with database.reading() as view:
        return [row.action for row in await view.all(select(t.audit).order_by(t.audit.c.n))]


# ------------------------------------------------------------------ keys


async def test_a_key_lets_in_and_only_its_digest_is_stored(database, clock):
    async with database.transaction() as tx:
        key, plain = await keys.create_key(
            tx, source="crm", name="CRM", scopes=[Scope.RESPONSES_WRITE], now=clock.now()
        )

    async with database.reading() as view:
        found = await keys.find_by_plaintext(view, plain, now=clock.now())
        stored = await view.first(select(t.api_keys))

    assert found == key
    assert key.principal().source == "crm"
    assert key.principal().scopes == {Scope.RESPONSES_WRITE}
    assert plain.startswith(key.prefix)
    assert len(key.prefix) == 12
    assert stored is not None
    assert plain not in [str(value) for value in stored]
    assert await audited(database) == ["key.created"]


async def test_two_keys_have_nothing_in_common_but_their_form():
    made = {keys._new_text() for _ in range(200)}

    assert len(made) == 200
    assert all(keys.may_be_a_key(text) for text in made)
    assert {len(text) for text in made} == {38}


@pytest.mark.parametrize(
    "text",
    ["", "cfl_", "x" * 31, "x" * 513, "ключ" * 20, "cfl_" + "0" * 27 + "_" + "z" * 6],
)
def test_what_cannot_be_a_key_is_told_without_the_database(text):
    assert not keys.may_be_a_key(text)


async def test_a_mistyped_key_is_told_by_its_checksum():
    plain = keys._new_text()
    changed = plain[:10] + ("A" if plain[10] != "A" else "B") + plain[11:]

    assert not keys.may_be_a_key(changed)


async def test_a_revoked_or_expired_key_lets_nobody_in(database, clock):
    async with database.transaction() as tx:
        one, plain_one = await keys.create_key(
            tx, source="a", name="a", scopes=[Scope.TASKS_READ], now=clock.now()
        )
        _, plain_two = await keys.create_key(
            tx,
            source="a",
            name="b",
            scopes=[Scope.TASKS_READ],
            now=clock.now(),
            expires_at=clock.now() + timedelta(days=1),
        )
        await keys.revoke_key(tx, one.id, now=clock.now())
        again = await keys.revoke_key(tx, one.id, now=clock.now() + timedelta(hours=1))
    clock.advance(timedelta(days=1))

    async with database.reading() as view:
        assert await keys.find_by_plaintext(view, plain_one, now=clock.now()) is None
        assert await keys.find_by_plaintext(view, plain_two, now=clock.now()) is None
        listed = await keys.list_keys(view)
    assert again.revoked_at == clock.now() - timedelta(days=1)
    assert [key.usable(clock.now()) for key in listed] == [False, False]
    assert await audited(database) == ["key.created", "key.created", "key.revoked"]


async def test_revoking_an_unknown_key_says_so(database, clock):
    with pytest.raises(NotFound):
        async with database.transaction() as tx:
            await keys.revoke_key(tx, "key_unknown", now=clock.now())


@pytest.mark.parametrize("fault", [{"source": " "}, {"name": "a\x00b"}, {"scopes": []}])
async def test_a_key_needs_a_source_a_name_and_a_scope(database, clock, fault):
    values = {"source": "crm", "name": "CRM", "scopes": [Scope.TASKS_READ], **fault}

    with pytest.raises(Invalid):
        async with database.transaction() as tx:
            await keys.create_key(tx, now=clock.now(), **values)


class CountingDatabase:
    """Counts how often it is read."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.reads = 0

    def reading(self):
        self.reads += 1
        return self._database.reading()

    def transaction(self):
        return self._database.transaction()


async def test_the_cache_asks_once_and_notices_a_revoked_key_within_a_second(database, clock):
    async with database.transaction() as tx:
        key, plain = await keys.create_key(
            tx, source="crm", name="CRM", scopes=[Scope.RESPONSES_WRITE], now=clock.now()
        )
    counting = CountingDatabase(database)
    cache = KeyCache(counting, clock)  # type: ignore[arg-type]

    for _ in range(100):
        assert await cache.principal(plain) == key.principal()
    await cache.settle()
    assert counting.reads == 1
    async with database.transaction() as tx:
        await keys.revoke_key(tx, key.id, now=clock.now())
    clock.advance(timedelta(seconds=1))

    assert await cache.principal(plain) is None
    assert not cache.has_met(plain)


async def test_a_key_that_expires_while_it_is_remembered_is_refused_at_once(database, clock):
    async with database.transaction() as tx:
        _, plain = await keys.create_key(
            tx,
            source="crm",
            name="CRM",
            scopes=[Scope.RESPONSES_WRITE],
            now=clock.now(),
            expires_at=clock.now() + timedelta(milliseconds=100),
        )
    cache = KeyCache(database, clock)
    assert await cache.principal(plain) is not None
    clock.advance(timedelta(milliseconds=100))

    assert await cache.principal(plain) is None
    await cache.settle()


async def test_the_day_of_use_is_written_once_a_day_beside_the_request(database, clock):
    async with database.transaction() as tx:
        key, plain = await keys.create_key(
            tx, source="crm", name="CRM", scopes=[Scope.TASKS_READ], now=clock.now()
        )
    cache = KeyCache(database, clock)

    for _ in range(3):
        await cache.principal(plain)
        await cache.settle()
        clock.advance(timedelta(hours=12))

    async with database.reading() as view:
        found = await keys.find_key(view, key.id)
    assert found is not None
    assert found.last_used_on == (clock.now() - timedelta(hours=12)).date()


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
        found = await people.owners(view, [person.id, group.id, "stf_unknown"])
        wrong_kind = await people.find_owner(view, person.id, "team")

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
            return [r.email for r in await people.addresses_of(view, group.id, "team")]

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
        before = await people.addresses_of(view, gone.id, "person")
    async with database.transaction() as tx:
        await people.disable_staff(tx, gone.id, now=clock.now())

    async with database.reading() as view:
        after = await people.addresses_of(view, gone.id, "person")

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
            await people.update_staff(tx, first.id, role=Role.STAFF, now=now)

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
    with pytest.raises(NotFound):
        async with database.transaction() as tx:
            await teams.update_department(tx, part.id, head_id="stf_unknown", now=now)
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
        team = await people.team(view, people.DEFAULT_TEAM)
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
            tx, people.DEFAULT_TEAM, email="care@example.test", now=clock.now()
        )
        await defaults.ensure_defaults(tx, settings, clock.now())
        team = await people.team(tx, people.DEFAULT_TEAM)

    assert team is not None
    assert team.email == "care@example.test"


# ------------------------------------------------------------------ signing in


async def test_the_right_password_opens_a_session_and_only_its_digest_is_stored(
    database, clock, keyring, password_hash
):
    person = await staff(database, clock.now(), password_hash=password_hash, role=Role.LEAD)

    token = await sign_in(
        database,
        keyring,
        email="Ann@example.test",
        password=PASSWORD,
        address="10.0.0.1",
        now=clock.now(),
    )

    async with database.reading() as view:
        session = await sessions.find(view, token, now=clock.now())
        stored = await view.first(select(t.sessions))
        failures = await view.scalar(select(func.count()).select_from(t.sign_in_failures))
    assert session is not None
    assert session.principal.id == person.id
    assert session.principal.scopes == ROLE_SCOPES[Role.LEAD]
    assert stored is not None
    assert token not in [str(value) for value in stored]
    assert failures == 0


async def test_unknown_wrong_and_disabled_get_one_answer_and_all_of_them_cost_a_hash(
    database, clock, keyring, password_hash
):
    now = clock.now()
    await staff(database, now, "ann@example.test", password_hash=password_hash)
    await staff(database, now, "none@example.test")
    gone = await staff(database, now, "gone@example.test", password_hash=password_hash)
    async with database.transaction() as tx:
        await people.disable_staff(tx, gone.id, now=now)

    said = set()
    for email, password in (
        ("ann@example.test", "wrong password"),
        ("nobody@example.test", PASSWORD),
        ("none@example.test", PASSWORD),
        ("gone@example.test", PASSWORD),
    ):
        with pytest.raises(Unauthenticated) as refused:
            await sign_in(
                database, keyring, email=email, password=password, address="x", now=now
            )
        said.add((refused.value.detail, refused.value.slug))

    assert len(said) == 1
    assert not await passwords.verify_password("nobody signs in with this", None)


async def test_an_account_that_fails_too_often_is_closed_for_a_quarter_of_an_hour(
    database, clock, keyring, password_hash, monkeypatch
):
    await staff(database, clock.now(), password_hash=password_hash)
    tried = []

    async def attempt(address: str, password: str = "wrong") -> str:
        tried.append(address)
        return await sign_in(
            database,
            keyring,
            email="ann@example.test",
            password=password,
            address=address,
            now=clock.now(),
        )

    async with database.transaction() as tx:
        # All but the last, without paying for the hashes.
        account = keyring.mac("sign-in", "account", "ann@example.test")
        await tx.execute(
            t.sign_in_failures.insert(),
            [{"subject": account, "at": clock.now()} for _ in range(PER_ACCOUNT - 1)],
        )
    with pytest.raises(Unauthenticated):
        await attempt("10.0.0.1")
    with pytest.raises(TooMany) as refused:
        await attempt("10.0.0.2", PASSWORD)
    assert 0 < refused.value.retry_after <= WINDOW.total_seconds() + 1

    clock.advance(WINDOW)
    assert await attempt("10.0.0.2", PASSWORD)


async def test_an_address_that_fails_too_often_is_refused_for_every_account(
    database, clock, keyring
):
    async with database.transaction() as tx:
        origin = keyring.mac("sign-in", "address", "10.0.0.9")
        await tx.execute(
            t.sign_in_failures.insert(),
            [{"subject": origin, "at": clock.now()} for _ in range(PER_ADDRESS)],
        )

    with pytest.raises(TooMany):
        await sign_in(
            database,
            keyring,
            email="new@example.test",
            password=PASSWORD,
            address="10.0.0.9",
            now=clock.now(),
        )


async def opened(database: Database, clock: ManualClock, **more: Any) -> tuple[str, str]:
    person = await staff(database, clock.now(), **more)
    async with database.transaction() as tx:
        return person.id, await sessions.start(tx, person.id, now=clock.now())


async def is_open(database: Database, clock: ManualClock, token: str) -> bool:
    async with database.reading() as view:
        session = await sessions.find(view, token, now=clock.now())
    if session is not None:
        await sessions.keep_alive(database, session, now=clock.now())
    return session is not None


async def test_a_session_ends_after_an_hour_without_a_request(database, clock):
    _, token = await opened(database, clock)

    clock.advance(timedelta(minutes=59))
    assert await is_open(database, clock, token)
    clock.advance(timedelta(minutes=59))
    assert await is_open(database, clock, token)
    clock.advance(timedelta(minutes=60))
    assert not await is_open(database, clock, token)


async def test_a_session_ends_after_twelve_hours_however_busy(database, clock):
    _, token = await opened(database, clock)

    for _ in range(23):
        clock.advance(timedelta(minutes=30))
        assert await is_open(database, clock, token)
    clock.advance(timedelta(minutes=30))

    assert not await is_open(database, clock, token)


@pytest.mark.parametrize("deed", ["sign_out", "disable", "role", "password"])
async def test_a_session_ends_on_our_side(database, clock, deed):
    await staff(database, clock.now(), "admin@example.test", role=Role.ADMIN)
    person_id, token = await opened(database, clock)
    assert await is_open(database, clock, token)

    async with database.transaction() as tx:
        if deed == "sign_out":
            await sessions.end(tx, token)
        elif deed == "disable":
            await people.disable_staff(tx, person_id, now=clock.now())
        elif deed == "role":
            await people.update_staff(tx, person_id, role=Role.LEAD, now=clock.now())
        else:
            await people.set_password(tx, person_id, "x", now=clock.now())

    assert not await is_open(database, clock, token)


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "\ud800" * 43, "x" * 5_000])
async def test_a_made_up_token_is_no_session(database, clock, token):
    async with database.reading() as view:
        assert await sessions.find(view, token, now=clock.now()) is None


@pytest.mark.parametrize("password", ["", "brief", "x" * 201, "with\x00nul in it"])
def test_a_new_password_needs_some_length(password):
    with pytest.raises(Invalid) as refused:
        passwords.check_password(password)
    assert password == "" or password not in str(refused.value.findings)


# ------------------------------------------------------------------ limits


def test_so_many_a_minute_and_then_none_until_the_minute_is_over():
    allowance = Allowance(3)

    assert [allowance.take("a", at=float(n)) for n in range(5)] == [0, 0, 0, 57, 56]
    assert allowance.wait("b", at=4.0) == 0
    assert allowance.take("a", at=60.0) == 0


def test_counting_is_bounded_however_many_come():
    allowance = Allowance(1, most_subjects=10)

    for n in range(1_000):
        allowance.take(str(n), at=0.0)

    assert len(allowance._windows) == 10
    assert allowance.wait("999", at=0.0) == 60


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
