"""One task, and an address per act.

Whoever opens the transaction commits it: an act is answered after its commit, with the task as
it is then.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.loop.resources import Loop
from services.loop.tasks.domain.acts import Act, FinishAction
from services.loop.tasks.handlers import (
    act_on,
    advise,
    note_looks,
    note_looks_in,
    read_task,
    resolve_owner,
)
from services.loop.tasks.schemas import (
    ACTS,
    ActIn,
    body_of,
    document_of,
    parse,
    warnings_of,
)
from shared.db.transaction import Transaction
from shared.errors import Finding, Invalid, NotFound, Unreadable
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.bodies import parse_json, read_body, read_json
from shared.web.idempotency import Answer, Once, OnceOnly
from shared.web.query import whole_number

router = APIRouter(tags=["tasks"])

Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]
Writer = Annotated[Principal, Depends(requires(Scope.TASKS_WRITE))]

_ETAG = re.compile(r'(?:W/)?"([1-9]\d{0,8})"')


@router.get("/v1/tasks/{task_id}", summary="Read one task with its history")
async def get_task(request: Request, task_id: str, caller: Reader) -> JSONResponse:
    """Return the task; its version travels as ETag."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        seen = await read_task(view, task_id, caller=caller, person_keys=loop.person_keys)
    now = loop.clock.now()
    await note_looks(loop.database, [seen], by=caller, via="task", now=now)
    return JSONResponse(document_of(seen, now), headers={"ETag": f'"{seen.task.version}"'})


def _expected(request: Request) -> int | None:
    """Return the version in If-Match; None when there is none, or any will do."""
    sent = request.headers.getlist("if-match")
    if not sent or sent == ["*"]:
        return None
    match = _ETAG.fullmatch(sent[0].strip())
    if len(sent) > 1 or match is None:
        raise Unreadable(
            'The header If-Match cannot be read. Send the ETag of the task, such as "3".'
        )
    return int(match[1])


async def _read_blank(request: Request) -> None:
    """Accept no body at all, or an empty object."""
    body = await read_body(request)
    if body.strip() and parse_json(body) != {}:
        raise Invalid(
            "This act takes no members.",
            [
                Finding(
                    pointer="",
                    code="unknown_member",
                    detail="the body is not an empty object",
                    fix="send no body, or {}",
                )
            ],
        )


async def _answer(
    request: Request,
    task_id: str,
    caller: Principal,
    once: OnceOnly,
    act_of: Callable[[Transaction], Awaitable[Act]],
    *,
    meaning: object = None,
) -> Response:
    """Carry out one act, commit, and return the task as it is then."""
    loop = resources(request, Loop)
    expected, now = _expected(request), loop.clock.now()

    async def as_it_is(tx: Transaction) -> Answer:
        seen = await read_task(tx, task_id, caller=caller, person_keys=loop.person_keys)
        await note_looks_in(tx, [seen], by=caller, via="task", now=now)
        return Answer(
            body=document_of(seen, now),
            headers={"ETag": f'"{seen.task.version}"'},
            person_ref=seen.task.person_ref,
        )

    async def act(tx: Transaction) -> Answer:
        wanted = await act_of(tx)
        await act_on(
            tx,
            task_id,
            wanted,
            by=caller,
            expected=expected,
            person_keys=loop.person_keys,
            now=now,
        )
        answer = await as_it_is(tx)
        advice = await advise(tx, task_id, wanted, person_keys=loop.person_keys, now=now)
        if not advice:
            return answer
        return replace(answer, body={**answer.body, "warnings": warnings_of(advice)})

    return await once.act(loop.database, act, by=caller, meaning=meaning, erased=as_it_is)


@router.post(
    "/v1/tasks/{task_id}/actions/{n}/done",
    summary="Say that an agreed action is carried out",
)
async def post_action_done(
    request: Request, task_id: str, n: str, *, caller: Writer, once: Once
) -> Response:
    """Finish one agreed action; the last one is the step eliminate."""
    await _read_blank(request)
    number = whole_number(n, digits=4)
    if number is None:
        raise NotFound("This task has no such agreed action.")

    async def act_of(_tx: Transaction) -> Act:
        return FinishAction(n=number)

    return await _answer(request, task_id, caller, once, act_of)


def _route(kind: type[ActIn]) -> Callable[..., Awaitable[Response]]:
    async def post_act(request: Request, task_id: str, caller: Writer, once: Once) -> Response:
        document: object = {}
        if not kind.BLANK:
            document = await read_json(request)
        elif not kind.model_fields:
            await _read_blank(request)
        elif (sent := await read_body(request)).strip():
            document = parse_json(sent)
        body = parse(kind, document)

        async def act_of(tx: Transaction) -> Act:
            named: str | None = getattr(body, "owner", None)
            owner = None if named is None else await resolve_owner(tx, named, by=caller)
            return body.to_act(owner)

        return await _answer(request, task_id, caller, once, act_of, meaning=body)

    return post_act


for _name, _kind in ACTS.items():
    router.add_api_route(
        f"/v1/tasks/{{task_id}}/{_name}",
        _route(_kind),
        methods=["POST"],
        name=f"post_{_name}",
        operation_id=f"post_{_name}",
        summary=_kind.SUMMARY,
        description=_kind.__doc__,
        openapi_extra=body_of(_kind),
    )
