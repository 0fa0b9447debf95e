"""``POST /v1/hooks/{source}``: whatever a source's sender sends, read through its mapping.

A call proves where it comes from by the sender's own signature, by the source's key in the
header Authorization or, for senders that can set no header, by that key in the path. A wrong
proof gets one and the same answer, whatever was wrong with it; the tally alone knows.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NoReturn

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from typing_extensions import TypedDict

from services.ingest.api.counting import CountedRoute, already_counted, known_source, posted
from services.ingest.api.posting import within
from services.ingest.domain.payloads import ACCEPTED, LIMIT, read_payload
from services.ingest.domain.signatures import Scheme, SignedCall, Verdict, verify
from services.ingest.domain.sources import TEST, Source, is_test
from services.ingest.handlers import Ingest, count_refusal, source_named
from services.ingest.reception import Call, mapping_of, receive
from services.ingest.schemas import WarningOut, schema_of
from shared.errors import Unauthenticated, Unreadable
from shared.faults import fault_point
from shared.identity.principal import Principal, Scope
from shared.tasks import spawn
from shared.web.access import resources, web
from shared.web.auth import (
    count_wrong,
    principal_of,
    recognised,
    within_rate,
)
from shared.web.bodies import read_body
from shared.web.idempotency import Answer, Once

if TYPE_CHECKING:
    from services.ingest.domain.mappings import HookMapping

router = APIRouter(tags=["hooks"], route_class=CountedRoute)

DEADLINE: Final = 10.0
_LONGEST_SOURCE: Final = 100
_LONGEST_ECHO: Final = 1_000

_NOT_PROVEN: Final = (
    "This call proves no source that is known here. Check the address, the source's key and its"
    " scope responses:write, the signing secret, and the sender's clock."
)


class HookResultOut(TypedDict, total=False):
    """What became of one answer of a call."""

    status: Literal["accepted", "duplicate", "ignored", "rejected"]
    id: str
    revision: int
    reason: str
    pointer: str
    path: str
    detail: str
    warnings: list[WarningOut]


class HookOut(TypedDict):
    """The answer to a hook: one result for each answer in the call, in order."""

    results: list[HookResultOut]


_EXAMPLE: Final[dict[str, Any]] = {
    "id": "answer-4711",
    "score": 3,
    "comment": "Nobody called back.",
    "email": "anna@example.com",
}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": f"up to {LIMIT:,} bytes, in the sender's own form",
    "content": {
        kind: {"schema": {}} | ({"example": _EXAMPLE} if kind == ACCEPTED[0] else {})
        for kind in ACCEPTED
    },
}
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "What was accepted is durable; the sender need not send it again.",
        "content": {"application/json": {"schema": schema_of(HookOut)}},
    }
}
_ASKED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "What the sender's documentation asks for.",
        "content": {"application/json": {"schema": {}}, "text/plain": {"schema": {}}},
    }
}

SourceName = Annotated[str, Path(description="the source, as its keys are named")]
Token = Annotated[str, Path(description="a key of the source with responses:write")]


@dataclass(frozen=True, kw_only=True)
class _Knock:
    """One call at the door, before anything is known of who it is."""

    request: Request
    ingest: Ingest
    source: Source
    token: str | None
    mapping: HookMapping | None

    @property
    def scheme(self) -> Scheme | None:
        """Return how its proof is checked; without secrets there is nothing to check with."""
        if not self.source.secrets:
            return None
        if self.mapping is not None and self.mapping.signature is not None:
            return self.mapping.signature
        return Scheme(scheme="standard_webhooks")

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers by their lower-case names; repeated ones as one."""
        found: dict[str, str] = {}
        for name, value in self.request.headers.items():
            found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    @property
    def query(self) -> dict[str, Any]:
        """Return what stands in the query; a repeated parameter is a list."""
        found: dict[str, list[str]] = {}
        for name, value in self.request.query_params.multi_items():
            found.setdefault(name, []).append(value)
        return {name: one if not more else [one, *more] for name, (one, *more) in found.items()}

    def verdict(self, body: bytes = b"") -> Verdict:
        """Tell whether the sender's own proof holds."""
        if self.scheme is None:
            return Verdict.NO_SIGNATURE
        scope, public_url = self.request.scope, web(self.request).settings.public_url
        path = scope.get("raw_path") or scope["path"].encode()
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        return verify(
            self.scheme,
            self.source.secrets,
            SignedCall(
                method=self.request.method,
                uri=public_url + (path + query).decode("latin-1"),
                headers=self.headers,
                body=body,
            ),
            now=self.ingest.clock.now(),
        )


async def _knock(request: Request, name: str, token: str | None) -> _Knock:
    if is_test(name) or len(name) > _LONGEST_SOURCE or not name.isprintable():
        count_wrong(request)
        raise Unauthenticated(_NOT_PROVEN)
    ingest = resources(request, Ingest)
    source = await source_named(ingest, name)
    return _Knock(
        request=request, ingest=ingest, source=source, token=token, mapping=mapping_of(source)
    )


async def _by_key(knock: _Knock) -> Principal | None:
    """Return whose key was shown; None if none was. A wrong one raises ``Unauthenticated``."""
    text = knock.token
    if text is None:
        shown = knock.request.headers.getlist("authorization")
        if len(shown) > 1:
            raise Unreadable("The header Authorization stands there twice. Send it once.")
        scheme, _, text = (shown[0] if shown else "").partition(" ")
        if scheme.lower() != "bearer":
            return None
    principal = await principal_of(knock.request, text.strip())
    if principal is None:
        await _refuse(knock, "wrong_key", counted=True)
    theirs = principal.source or ""
    if theirs.removesuffix(TEST) == knock.source.name and principal.may(Scope.RESPONSES_WRITE):
        return principal
    count_wrong(knock.request)
    if theirs:
        await count_refusal(knock.ingest, theirs, "wrong_hook")
        already_counted(knock.request)
    raise Unauthenticated(_NOT_PROVEN)


async def _refuse(knock: _Knock, reason: str, *, counted: bool = False) -> NoReturn:
    """Count a wrong proof, of its address and of its source, and raise what all of them get."""
    if not counted:
        count_wrong(knock.request)
    if knock.source.version and recognised(knock.request) is None:
        await count_refusal(knock.ingest, knock.source.name, reason)
        already_counted(knock.request)
    raise Unauthenticated(_NOT_PROVEN)


async def _proven(knock: _Knock) -> tuple[Principal, bytes] | Response:
    """Return who calls, and the body; or the answer to a question that needs no proof.

    A key or a password in a header is judged before a byte of the body is read.
    """
    scheme = knock.scheme
    signed = scheme is not None and scheme.has_proof(knock.headers)
    in_header = signed and scheme is not None and not scheme.needs_body
    caller: Principal | None = None
    if in_header and knock.token is None and knock.verdict() is Verdict.VALID:
        caller = _sender(knock)
    elif not in_header or knock.verdict() is Verdict.VALID or _shows_key(knock):
        caller = await _by_key(knock)
    asks = caller is None and not signed and _may_ask(knock, "POST")
    if caller is None and not asks and (not signed or in_header):
        await _refuse(knock, knock.verdict())
    body = await read_body(knock.request, limit=LIMIT)
    if signed and not in_header:
        verdict = knock.verdict(body)
        if verdict is not Verdict.VALID:
            await _refuse(knock, verdict)
        caller = caller or _sender(knock)
    if caller is None:
        answer = _answered(knock, "POST", _payload_of(knock, body))
        return answer or await _refuse(knock, Verdict.NO_SIGNATURE)
    return caller, body


def _shows_key(knock: _Knock) -> bool:
    """Tell whether the header that a sender's own proof stands in holds a key instead."""
    shown = knock.request.headers.get("authorization", "")
    return knock.token is None and shown[:7].lower() == "bearer "


def _sender(knock: _Knock) -> Principal:
    """Return the sender as a caller: it has no key, and no right but to post."""
    name = knock.source.name
    within_rate(knock.request, f"sender of {name}")
    return Principal(
        kind="key",
        id=f"sender of {name}",
        name=name,
        scopes=frozenset({Scope.RESPONSES_WRITE}),
        source=name,
    )


def _may_ask(knock: _Knock, method: str) -> bool:
    checks = knock.mapping.verification if knock.mapping is not None else ()
    return bool(knock.source.version) and any(check.method == method for check in checks)


def _payload_of(knock: _Knock, body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return what a body holds; a question by header or query may have none."""
    if not body:
        return None
    return read_payload(body, knock.request.headers.get("content-type", ""))


def _answered(knock: _Knock, method: str, payload: Any = None) -> Response | None:  # noqa: ANN401
    """Return the answer to a sender that asks whether this address is ours, else None."""
    if knock.mapping is None or not _may_ask(knock, method):
        return None
    asked = knock.mapping.check_of(method, knock.headers, knock.query, payload)
    if asked is None:
        return None
    check, answer = asked
    if check.as_json:
        return JSONResponse(answer, status_code=check.status)
    if answer is None:
        return Response(status_code=check.status)
    text = answer if isinstance(answer, str) else ""
    if not 0 < len(text) <= _LONGEST_ECHO or not text.isprintable():
        return None
    return PlainTextResponse(text, status_code=check.status)


async def _take_in(
    request: Request, once: Once, name: str, token: str | None = None
) -> Response:
    knock = await _knock(request, name, token)
    proven = await _proven(knock)
    if isinstance(proven, Response):
        return proven
    caller, body = proven
    known_source(request, caller.source or name)
    content_type = request.headers.get("content-type", "")
    if not body and (answer := _answered(knock, "POST")) is not None:
        return answer
    payload = read_payload(posted(request, body), content_type)
    if (answer := _answered(knock, "POST", payload)) is not None:
        return answer
    fault_point("ingest.validated")
    call = Call(
        payload=payload,
        headers=knock.headers,
        query=knock.query,
        body=body,
        content_type=content_type,
    )

    async def work() -> Answer:
        taking = spawn(
            receive(knock.ingest, knock.source, call, test=caller.test), name="receive-hook"
        )
        results = await within(DEADLINE, asyncio.shield(taking))
        return Answer(body={"results": [one.shown() for one in results]}, status=202)

    answer = await once.work(knock.ingest.database, work, by=caller, meaning=payload)
    fault_point("ingest.answering")
    return answer


async def _ask(request: Request, name: str, token: str | None = None) -> Response:
    """Answer a GET or HEAD: the sender's question, else whether a key fits."""
    knock = await _knock(request, name, token)
    if token is not None:
        await _by_key(knock)
    answer = _answered(knock, request.method)
    if answer is not None:
        return answer
    if token is None and await _by_key(knock) is None:
        await _refuse(knock, Verdict.NO_SIGNATURE)
    return JSONResponse({"results": []})


@router.post(
    "/v1/hooks/{source}",
    status_code=202,
    summary="Take in what a source's sender sends",
    openapi_extra={"requestBody": _BODY},
    responses=_RESPONSES,
)
async def post_hook(request: Request, once: Once, source: SourceName) -> Response:
    """Read a call through its source's mapping and record what it says."""
    return await _take_in(request, once, source)


@router.post(
    "/v1/hooks/{source}/{token}",
    status_code=202,
    summary="Take in what a sender sends that can set no header",
    openapi_extra={"requestBody": _BODY},
    responses=_RESPONSES,
)
async def post_hook_with_token(
    request: Request, once: Once, source: SourceName, token: Token
) -> Response:
    """Do the same for a call whose key stands in the path."""
    return await _take_in(request, once, source, token)


@router.get(
    "/v1/hooks/{source}",
    summary="Answer a sender that asks whether the address is ours",
    responses=_ASKED,
)
async def ask_hook(request: Request, source: SourceName) -> Response:
    """Answer as the sender's documentation has it; for the source's key, that it fits."""
    return await _ask(request, source)


@router.get(
    "/v1/hooks/{source}/{token}",
    summary="Answer the same where the key stands in the path",
    responses=_ASKED,
)
async def ask_hook_with_token(request: Request, source: SourceName, token: Token) -> Response:
    """Do the same for an address with the key in its path."""
    return await _ask(request, source, token)


@router.head("/v1/hooks/{source}", include_in_schema=False)
async def head_hook(request: Request, source: SourceName) -> Response:
    """Answer without a body."""
    return await _ask(request, source)


@router.head("/v1/hooks/{source}/{token}", include_in_schema=False)
async def head_hook_with_token(request: Request, source: SourceName, token: Token) -> Response:
    """Answer without a body."""
    return await _ask(request, source, token)
