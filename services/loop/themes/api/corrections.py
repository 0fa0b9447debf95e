"""``/v1/responses/{id}/theme-corrections``: what people say of the themes in a response."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from services.loop.resources import Loop
from services.loop.themes.handlers.corrections import Judged, correct, judged, take_back
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires, requires_any
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.query import EachOnce

router = APIRouter(
    prefix="/v1/responses/{response_id}/theme-corrections",
    tags=["themes"],
    dependencies=[EachOnce],
)

_Reader = Annotated[Principal, Depends(requires(Scope.TASKS_READ))]
_Writer = Annotated[Principal, Depends(requires_any(Scope.TASKS_WRITE, Scope.TAXONOMY_WRITE))]
_VERDICT = (
    "“not”: the theme is not in these words; “also”: it is, and was not found; “right”: it was"
    " found and is right"
)
VerdictIn = Literal["not", "also", "right"]


class CorrectionIn(BaseModel):
    """What is said of one theme."""

    model_config = ConfigDict(extra="forbid", strict=True)

    theme_id: str = Field(min_length=1, max_length=100)
    verdict: VerdictIn = Field(description=_VERDICT)


class CorrectionOut(BaseModel):
    """What somebody said of a theme; ``found`` is whether the taxonomy finds it by itself."""

    theme_id: str
    verdict: VerdictIn = Field(description=_VERDICT)
    found: bool
    judged_at: AwareDatetime
    judged_by: str


class CorrectionsOut(BaseModel):
    """The themes that stand in a response, the surest first, and what people said of them."""

    response_id: str
    themes: list[str]
    corrections: list[CorrectionOut]


def _shown(seen: Judged) -> dict[str, object]:
    return CorrectionsOut(
        response_id=seen.response.id,
        themes=[row.theme_id for row in seen.themes],
        corrections=[
            CorrectionOut(
                theme_id=one.theme_id,
                verdict=one.verdict,
                found=one.found is not None,
                judged_at=one.judged_at,
                judged_by=one.judged_by,
            )
            for one in seen.corrections
        ],
    ).model_dump(mode="json")


@router.get(
    "", response_model=CorrectionsOut, summary="Read what people said of a response's themes"
)
async def get_corrections(
    request: Request, response_id: str, _caller: _Reader
) -> dict[str, object]:
    """Return the themes of a response as they stand, and the corrections among them."""
    async with resources(request, Loop).database.reading() as view:
        return _shown(await judged(view, response_id))


@router.post(
    "",
    summary="Correct a theme of a response",
    openapi_extra=body_of(CorrectionIn),
    responses={200: {"model": CorrectionsOut}},
)
async def post_correction(
    request: Request, response_id: str, caller: _Writer, once: Once
) -> Response:
    """Say that a theme is not in a response, is in it as well, or was rightly found.

    It holds at once and outlives every other version of the taxonomy and every replay. It ends
    when it is taken back or the customer writes something else. A later word on the same theme
    takes the place of an earlier one.
    """
    sent = await read_as(request, CorrectionIn)
    loop = resources(request, Loop)

    async def act(tx: Transaction) -> Answer:
        seen = await correct(
            tx,
            response_id,
            sent.theme_id,
            sent.verdict,
            by=caller,
            person_keys=loop.person_keys,
            now=loop.clock.now(),
        )
        return Answer(body=_shown(seen))

    return await once.act(loop.database, act, by=caller, meaning=sent)


@router.delete("/{theme_id}", status_code=204, summary="Take a correction back")
async def delete_correction(
    request: Request, response_id: str, theme_id: str, caller: _Writer
) -> Response:
    """Let hold again what the taxonomy says of a theme in a response."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await take_back(tx, response_id, theme_id, by=caller, now=loop.clock.now())
    return Response(status_code=204)
