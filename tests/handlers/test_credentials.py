"""Keys, passwords, sessions and their limits, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from shared.db.transaction import Database
from shared.errors import Invalid, NotFound, TooMany, Unauthenticated
from shared.identity import key_texts, keys, passwords, people, sessions
from shared.identity import tables as t
from shared.identity.key_cache import KeyCache
from shared.identity.limits import Allowance
from shared.identity.principal import ROLE_SCOPES, Role, Scope
from shared.identity.sign_in import PER_ACCOUNT, PER_ADDRESS, SignedIn, sign_in
from shared.identity.throttle import WINDOW
from tests.fakes import ManualClock
from tests.staff import audited, staff

PASSWORD = "correct horse battery"


@pytest.fixture
def database(database_of: Callable[[str], Database]) -> Database:
    return database_of("shared")


@pytest.fixture(scope="session")
def password_hash() -> str:
    return passwords._hash(PASSWORD)


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
    made = {key_texts.new_text() for _ in range(200)}

    assert len(made) == 200
    assert all(key_texts.may_be_a_key(text) for text in made)
    assert {len(text) for text in made} == {38}


def test_a_key_for_trials_looks_different_and_is_checked_as_well():
    plain = key_texts.new_text(key_texts.TEST_MARK)
    changed = plain[:10] + ("A" if plain[10] != "A" else "B") + plain[11:]

    assert plain.startswith("cft_")
    assert key_texts.may_be_a_key(plain)
    assert not key_texts.may_be_a_key(changed)


@pytest.mark.parametrize(
    "text",
    ["", "cfl_", "x" * 31, "x" * 513, "ключ" * 20, "cfl_" + "0" * 27 + "_" + "z" * 6],
)
def test_what_cannot_be_a_key_is_told_without_the_database(text):
    assert not key_texts.may_be_a_key(text)


async def test_a_mistyped_key_is_told_by_its_checksum():
    plain = key_texts.new_text()
    changed = plain[:10] + ("A" if plain[10] != "A" else "B") + plain[11:]

    assert not key_texts.may_be_a_key(changed)


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
    cache = KeyCache(counting, clock)  # type: ignore[arg-type] # counts the look-ups

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


# ------------------------------------------------------------------ signing in


async def test_the_right_password_opens_a_session_and_only_its_digest_is_stored(
    database, clock, keyring, password_hash
):
    person = await staff(database, clock.now(), password_hash=password_hash, role=Role.LEAD)

    entered = await sign_in(
        database,
        keyring,
        email="Ann@example.test",
        password=PASSWORD,
        address="10.0.0.1",
        now=clock.now(),
    )

    assert isinstance(entered, SignedIn)
    token = entered.token
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

    async def attempt(address: str, password: str = "wrong") -> object:
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
