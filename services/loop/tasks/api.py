"""The routes of follow-up: lists, one task, and an address per act.

Whoever opens the transaction commits it: an act is answered after its commit, with the task as
it is then.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.loop.resources import Loop
from services.loop.tasks.domain.acts import Act, FinishAction
from services.loop.tasks.domain.task import ENDED, OPEN, TaskState
from services.loop.tasks.handlers import (
    act_on,
    list_tasks,
    read_task,
    resolve_owner,
)
from services.loop.tasks.schemas import ACTS, ActIn, body_of, document_of, parse
from services.loop.tasks.store import TaskFilter, place_of
from shared.db.transaction import Transaction
from shared.errors import Finding, Invalid, NotFound, Unreadable
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.bodies import parse_json, read_body, read_json
from shared.web.idempotency import Answer, Once, OnceOnly
from shared.web.paging import Paged, listed

router = APIRouter(tags=["tasks"])

Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]
Writer = Annotated[Principal, Depends(requires(Scope.TASKS_WRITE))]

_CHOSEN = frozenset({"state", "overdue"})
"""Filters with a list of values, of which nothing is none."""
_FILTERS = ("state", "owner", "overdue", "touchpoint", "theme", "response_id")
_STATES: dict[str, frozenset[TaskState]] = {
    "open": OPEN,
    "ended": ENDED,
    **{state.value: frozenset({state}) for state in TaskState},
}
_ETAG = re.compile(r'(?:W/)?"([1-9]\d{0,8})"')


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON schema
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


@router.get(
    "/v1/tasks",
    summary="List tasks, what breaks first before the others",
    openapi_extra={
        "parameters": [
            _parameter("state", "a state, or open, or ended", enum=list(_STATES)),
            _parameter("owner", "the id of a person or team, or me"),
            _parameter("overdue", "past the due time or not", enum=["true", "false"]),
            _parameter("touchpoint", "a touchpoint's code"),
            _parameter("theme", "a theme's id"),
            _parameter("response_id", "the response that a task answers"),
        ]
    },
)
async def get_tasks(request: Request, caller: Reader, page: Paged) -> JSONResponse:
    """Return the tasks that match every filter, with what this caller may see of them."""
    loop = resources(request, Loop)
    given = _given(request)
    wanted = _wanted(given, caller)
    name = "tasks?" + "&".join(f"{key}={value}" for key, value in sorted(given.items()))
    now = loop.clock.now()
    async with loop.database.reading() as view:
        found = await list_tasks(
            view,
            wanted,
            caller=caller,
            person_keys=loop.person_keys,
            now=now,
            after=page.after(loop.keyring, of=name),
            most=page.limit + 1,
        )
    return JSONResponse(
        listed(
            found,
            page,
            show=lambda seen: document_of(seen, now),
            key=lambda seen: place_of(seen.task),
            keyring=loop.keyring,
            of=name,
        )
    )


@router.get("/v1/tasks/{task_id}", summary="Read one task with its history")
async def get_task(request: Request, task_id: str, caller: Reader) -> JSONResponse:
    """Return the task; its version travels as ETag."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        seen = await read_task(view, task_id, caller=caller, person_keys=loop.person_keys)
    document = document_of(seen, loop.clock.now())
    return JSONResponse(document, headers={"ETag": f'"{seen.task.version}"'})


def _given(request: Request) -> dict[str, str]:
    """Return the filters that are sent, each once and not empty."""
    given = {}
    for name in _FILTERS:
        values = request.query_params.getlist(name)
        if len(values) > 1:
            raise Unreadable(f"The query parameter {name} stands there twice. Send it once.")
        if values and (values[0] or name in _CHOSEN):
            given[name] = values[0]
    return given


def _wanted(given: dict[str, str], caller: Principal) -> TaskFilter:
    state, late, owner = given.get("state"), given.get("overdue"), given.get("owner")
    findings = []
    if state is not None and state not in _STATES:
        findings.append(_not_a_choice("state", tuple(_STATES)))
    if late not in {None, "true", "false"}:
        findings.append(_not_a_choice("overdue", ("true", "false")))
    if any("\0" in value for value in given.values()):
        findings.append(
            Finding(pointer="", code="nul", detail="a value holds NUL", fix="leave it out")
        )
    if findings:
        raise Invalid("The filters cannot be used as they were sent.", findings)
    return TaskFilter(
        states=None if state is None else _STATES[state],
        owners=None if owner is None else frozenset({caller.id if owner == "me" else owner}),
        overdue=None if late is None else late == "true",
        touchpoint=given.get("touchpoint"),
        theme=given.get("theme"),
        response_id=given.get("response_id"),
    )


def _not_a_choice(name: str, choices: tuple[str, ...]) -> Finding:
    return Finding(
        pointer=f"/{name}",
        code="not_a_choice",
        detail="not one of the possible values",
        fix=f"send one of: {', '.join(choices)}",
    )


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
        return Answer(
            body=document_of(seen, now),
            headers={"ETag": f'"{seen.task.version}"'},
            person_ref=seen.task.person_ref,
        )

    async def act(tx: Transaction) -> Answer:
        await act_on(
            tx,
            task_id,
            await act_of(tx),
            by=caller,
            expected=expected,
            person_keys=loop.person_keys,
            now=now,
        )
        return await as_it_is(tx)

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
    if not (n.isascii() and n.isdigit() and len(n) <= 4):
        raise NotFound("This task has no such agreed action.")

    async def act_of(_tx: Transaction) -> Act:
        return FinishAction(n=int(n))

    return await _answer(request, task_id, caller, once, act_of)


def _route(kind: type[ActIn]) -> Callable[..., Awaitable[Response]]:
    async def post_act(request: Request, task_id: str, caller: Writer, once: Once) -> Response:
        document: object = {}
        if kind.BLANK:
            await _read_blank(request)
        else:
            document = await read_json(request)
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
