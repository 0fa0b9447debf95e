"""``GET /v1/examples``: closed tasks to learn from, without the customer in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.loop.resources import Loop
from services.loop.tasks.handlers.examples import Example, list_examples
from services.loop.tasks.schemas import moment
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(prefix="/v1/examples", tags=["tasks"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]
_Filter = Annotated[str | None, Query(min_length=1, max_length=200)]


@router.get("", summary="List good examples of follow-up, the latest first")
async def get_examples(
    request: Request,
    _caller: _Reader,
    page: Paged,
    theme: _Filter = None,
    touchpoint: _Filter = None,
) -> JSONResponse:
    """Return what colleagues marked as worth learning from.

    The customer's name, e-mail address, telephone and order numbers are covered up wherever
    they stand; of a customer who was erased no words are left.
    """
    loop = resources(request, Loop)
    name = f"examples?theme={theme}&touchpoint={touchpoint}"
    async with loop.database.reading() as view:
        found = await list_examples(
            view,
            theme=theme,
            touchpoint=touchpoint,
            person_keys=loop.person_keys,
            after=page.after(loop.keyring, of=name),
            most=page.limit + 1,
        )
    return JSONResponse(
        listed(
            found,
            page,
            show=_shown,
            key=lambda example: [example.shared_at.isoformat(), example.task.id],
            keyring=loop.keyring,
            of=name,
        )
    )


def _shown(example: Example) -> dict[str, object]:
    task = example.task
    resolution = task.record.resolution
    return {
        "task_id": task.id,
        "shared_at": moment(example.shared_at),
        "metric": task.metric,
        "score": task.score,
        "touchpoint": task.touchpoint,
        "segment": task.segment,
        "product": task.product,
        "themes": list(example.themes),
        "language": example.language,
        "comment": example.comment,
        "erased": example.erased,
        "told": [{"kind": kind, "text": text} for kind, text in example.told],
        "steps": task.letters,
        "outcome": resolution.outcome if resolution else None,
        "cause_area": resolution.cause_area if resolution else None,
        "confirmed_by_customer": task.is_confirmed_by_customer,
    }
