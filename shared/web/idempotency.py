"""The header Idempotency-Key: how a caller says that a request is the same one again.

A route that changes something by POST takes ``once: Once`` and hands it what is to be done. The
same key with the same meaning gets the same answer for seven days, however often it comes; with
another meaning it is refused. Only what was carried out is remembered: after a refusal, or
trouble on our side, the same request may come again and is looked at afresh.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.db import requests
from shared.db.transaction import Database, Reading, Transaction
from shared.errors import NotFound, Unreadable, key_reused
from shared.identity.principal import Principal
from shared.sealing import seal, unseal
from shared.web.access import web

if TYPE_CHECKING:
    from sqlalchemy import Table

    from shared.db.requests import Known

REPLAYED: Final = "Idempotency-Replayed"
LONGEST_KEY: Final = 255

_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")

PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "up to 255 printable characters; the same key with the same meaning acts"
    " once in seven days, and is answered as the first time, with the header"
    f" {REPLAYED}: true",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
}


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key, quoted or bare; raise ``Unreadable`` for one that is none."""
    sent = request.headers.getlist("idempotency-key")
    if not sent:
        return None
    if len(sent) > 1:
        raise Unreadable("The header Idempotency-Key was sent more than once.")
    text = sent[0].strip()
    if (quoted := _QUOTED.fullmatch(text)) is not None:
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        key = text if _BARE.fullmatch(text) and not text.startswith('"') else ""
    if not 1 <= len(key) <= LONGEST_KEY:
        raise Unreadable(
            f"The header Idempotency-Key must hold 1 to {LONGEST_KEY} printable ASCII"
            " characters, quoted or bare."
        )
    return key


Key = Annotated[str | None, Depends(idempotency_key)]
"""In a route that remembers in a way of its own: ``key: Key``, after the caller."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a POST is answered: now, and whenever the same request comes again."""

    body: Any = field(default=None, repr=False)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    person_ref: str | None = None
    """Whose words are in it: what is kept of it goes with their key."""

    def response(self, *, again: bool = False) -> Response:
        """Return it as it goes over the wire."""
        headers = {**self.headers, **({REPLAYED: "true"} if again else {})}
        if self.body is None:
            return Response(status_code=self.status, headers=headers)
        return JSONResponse(self.body, status_code=self.status, headers=headers)


Act = Callable[[Transaction], Awaitable[Answer]]
Work = Callable[[], Awaitable[Answer]]

ANSWERS: Final = "idempotent-answers"
"""The purpose under which answers are sealed with the installation's key."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where an answer is remembered and what the request meant.

    While the secret is being replaced there are two digests of each; the new one leads.
    """

    digests: tuple[str, ...]
    prints: tuple[str, ...]


class OnceOnly:
    """One request and the key under which it may come again."""

    def __init__(self, request: Request, key: str | None) -> None:
        self._request = request
        self._key = key

    async def act(
        self,
        database: Database,
        act: Act,
        *,
        by: Principal,
        meaning: object = None,
        erased: Act | None = None,
    ) -> Response:
        """Carry ``act`` out in one transaction; return its answer after the commit.

        ``meaning`` is what was sent, as it was understood: a model, or a JSON value. ``erased``
        answers a repetition after the person in the first answer was erased.
        """
        if self._key is None:
            async with database.transaction() as tx:
                answer = await act(tx)
            return answer.response()
        place = self._place(self._key, by, meaning)
        async with database.transaction() as tx:
            known = await self._claim(tx, place)
            if known is None:
                answer = await act(tx)
                await self._keep(tx, place, answer)
            else:
                answer = await self._opened(tx, known, place) or await (erased or _gone)(tx)
        return answer.response(again=known is not None)

    async def work(
        self, database: Database, work: Work, *, by: Principal, meaning: object = None
    ) -> Response:
        """Do what commits by itself and may run twice without harm; return its answer.

        Two under one key at the same moment may both work; both get the answer of the first.
        """
        if self._key is None:
            return (await work()).response()
        place = self._place(self._key, by, meaning)
        async with database.reading() as view:
            known = await self._find(view, database.plumbing.requests, place)
        if known is None:
            answer = await work()
            async with database.transaction() as tx:
                known = await self._claim(tx, place)
                if known is None:
                    await self._keep(tx, place, answer)
                    return answer.response()
        async with database.reading() as view:
            given = await self._opened(view, known, place)
        return (given or await work()).response(again=True)

    def _place(self, key: str, by: Principal, meaning: object) -> _Place:
        keyring = web(self._request).keyring
        if isinstance(meaning, BaseModel):
            meaning = meaning.model_dump(mode="json")
        said = [
            self._request.path_params,
            sorted(self._request.query_params.multi_items()),
            meaning,
        ]
        route = f"{self._request.method} {self._request.scope['route'].path}"
        return _Place(
            digests=keyring.macs("idempotency-keys", caller_of(by), route, key),
            prints=keyring.macs(
                "idempotency-fingerprints",
                json.dumps(said, sort_keys=True, separators=(",", ":")),
            ),
        )

    async def _find(self, view: Reading, table: Table, place: _Place) -> Known | None:
        now = web(self._request).clock.now()
        found = await requests.find(view, table, place.digests, now=now)
        return next(iter(found.values()), None)

    async def _claim(self, tx: Transaction, place: _Place) -> Known | None:
        """Claim the key; return the request that had it before, if it is the same one."""
        known = None
        if len(place.digests) > 1:
            known = await self._find(tx, tx.plumbing.requests, place)
        if known is None:
            claimed = {place.digests[0]: place.prints[0]}
            now = web(self._request).clock.now()
            known = (await requests.claim_soon(tx, claimed, now=now)).get(place.digests[0])
        return known

    async def _keep(self, tx: Transaction, place: _Place, answer: Answer) -> None:
        here = web(self._request)
        plain = json.dumps(
            {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
        ).encode()
        digest, key, ref = place.digests[0], None, answer.person_ref
        if ref is not None:
            now = here.clock.now()
            key = (await here.person_keys.for_sealing(tx, [ref], now=now)).get(ref)
        if key is None:  # of nobody, or of somebody of whom nothing is left to tell
            sealed, ref = here.keyring.seal(ANSWERS, plain, context=digest), None
        else:
            sealed = seal(key, plain, context=digest)
        await requests.keep(tx, {digest: sealed}, person_ref=ref)

    async def _opened(self, view: Reading, known: Known, place: _Place) -> Answer | None:
        """Return the answer as it was given; None when its person was erased since."""
        if known.fingerprint not in place.prints:
            raise key_reused()
        here, ref = web(self._request), known.person_ref
        if ref is None:
            plain = here.keyring.open(ANSWERS, known.sealed_answer, context=known.key_digest)
        else:
            key = (await here.person_keys.for_reading(view, [ref])).get(ref)
            if key is None:
                return None
            plain = unseal(key, known.sealed_answer, context=known.key_digest)
        return Answer(**json.loads(plain))


def caller_of(by: Principal) -> str:
    """Return for whom a key holds: keys are replaced, the source they belong to stays."""
    if by.source is None:
        return by.id
    return f"test of {by.source}" if by.test else f"source {by.source}"


async def _gone(_tx: Transaction) -> Answer:
    raise NotFound("This was done before; what was answered has been erased with the person.")


def once_only(request: Request, key: Key) -> OnceOnly:
    """Return what carries this request out once; for routes: ``once: Once``."""
    return OnceOnly(request, key)


Once = Annotated[OnceOnly, Depends(once_only)]
"""In a route: ``once: Once``, after the caller."""
