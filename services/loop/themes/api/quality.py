"""``/v1/taxonomy/quality`` and ``/v1/taxonomy/proposals``: what corrections add up to."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.loop.resources import Loop
from services.loop.themes.handlers.proposing import accept, list_proposals, reject
from services.loop.themes.handlers.quality import Quality, quality
from services.loop.themes.store.quality import Proposal
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.stats.intervals import Estimate
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(prefix="/v1/taxonomy", tags=["themes"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.TAXONOMY_WRITE))]
_REPLAYS = "/v1/taxonomy/replays"


class EstimateOut(BaseModel):
    """A share with what it rests on; ``enough`` says whether it may be compared."""

    value: float | None
    n: int
    ci95: tuple[float, float] | None
    enough: bool


class QualityOut(BaseModel):
    """How good a theme is in a language, or in all of them where that is null.

    What people judged is held against what the words of the taxonomy find now: ``right`` and
    ``wrong`` are found, ``missed`` is not. ``precision`` is the part of what is found that is
    right, ``recall`` the part of what should be found that is; intervals are Wilson's.
    """

    theme_id: str
    name: str
    language: str | None
    right: int
    wrong: int
    missed: int
    precision: EstimateOut
    recall: EstimateOut


class QualityList(BaseModel):
    """The themes in use that were judged, each first in all languages and then in each."""

    data: list[QualityOut]
    next_cursor: str | None
    has_more: bool


class ProposalOut(BaseModel):
    """Words that corrections suggest to look for (``add``), or no longer (``drop``).

    Of words to add ``support`` counts the customers who meant the theme with them, at least
    three, and ``against`` other comments that hold them; of a keyword to drop ``support``
    counts comments where it was wrong, and ``against`` where it was right.
    """

    id: str
    kind: Literal["add", "drop"]
    theme_id: str
    language: str
    words: str
    support: int
    against: int
    state: Literal["open", "accepted", "rejected"]
    proposed_at: AwareDatetime
    decided_at: AwareDatetime | None
    decided_by: str | None
    taxonomy_version: int | None
    replay: str | None
    """Where history can be read again by the version that the words are in."""


class ProposalList(BaseModel):
    """Proposals in the order in which they came up."""

    data: list[ProposalOut]
    next_cursor: str | None
    has_more: bool


def _estimate(estimate: Estimate) -> EstimateOut:
    between = estimate.ci95
    return EstimateOut(
        value=None if estimate.value is None else round(estimate.value, 4),
        n=estimate.n,
        ci95=between and (round(between[0], 4), round(between[1], 4)),
        enough=estimate.enough,
    )


def _shown(one: Quality, language: str) -> dict[str, object]:
    return QualityOut(
        theme_id=one.theme.id,
        name=one.theme.name_in(language),
        language=one.language,
        right=one.right,
        wrong=one.wrong,
        missed=one.missed,
        precision=_estimate(one.precision),
        recall=_estimate(one.recall),
    ).model_dump(mode="json")


def _key(one: Quality) -> list[str]:
    return [one.theme.id, "" if one.language is None else f"={one.language}"]


def _proposal(one: Proposal) -> dict[str, object]:
    return ProposalOut(
        id=one.id,
        kind=one.kind,
        theme_id=one.theme_id,
        language=one.language,
        words=one.words,
        support=one.support,
        against=one.against,
        state=one.state,
        proposed_at=one.proposed_at,
        decided_at=one.decided_at,
        decided_by=one.decided_by,
        taxonomy_version=one.taxonomy_version,
        replay=_REPLAYS if one.state == "accepted" else None,
    ).model_dump(mode="json")


@router.get("/quality", response_model=QualityList, summary="Read how good the taxonomy is")
async def get_quality(
    request: Request,
    caller: _Reader,
    page: Paged,
    *,
    sample: Annotated[
        Literal["judged", "drawn"],
        Query(
            description="“judged” is everything that people said; “drawn” only what they said"
            " in checks of comments that nobody had chosen: people look first at what is wrong"
        ),
    ] = "judged",
) -> dict[str, object]:
    """Return precision and recall per theme and language, with what they rest on."""
    loop = resources(request, Loop)
    name = f"quality?{sample}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        rows = await quality(view, drawn=sample == "drawn")
    if after is not None:
        rows = [one for one in rows if _key(one) > after]
    return listed(
        rows[: page.limit + 1],
        page,
        show=lambda one: _shown(one, caller.language),
        key=_key,
        keyring=loop.keyring,
        of=name,
    )


@router.get(
    "/proposals", response_model=ProposalList, summary="List words that corrections suggest"
)
async def get_proposals(
    request: Request,
    _caller: _Writer,
    page: Paged,
    *,
    state: Literal["open", "accepted", "rejected"] = "open",
) -> dict[str, object]:
    """List proposals; a person decides about each."""
    loop = resources(request, Loop)
    name = f"proposals?{state}"
    after = page.after(loop.keyring, of=name)
    async with loop.database.reading() as view:
        rows = await list_proposals(
            view, state, after=after[0] if after else None, most=page.limit + 1
        )
    return listed(
        rows, page, show=_proposal, key=lambda one: [one.id], keyring=loop.keyring, of=name
    )


@router.post(
    "/proposals/{proposal_id}/accept",
    summary="Accept proposed words",
    responses={200: {"model": ProposalOut}},
)
async def post_accept(
    request: Request, proposal_id: str, caller: _Writer, once: Once
) -> Response:
    """Put a version of the taxonomy into use that holds the words, or holds them no longer.

    It decides from the next response on; a replay applies it to history.
    """
    loop = resources(request, Loop)

    async def act(tx: Transaction) -> Answer:
        return Answer(
            body=_proposal(await accept(tx, proposal_id, by=caller, now=loop.clock.now()))
        )

    return await once.act(loop.database, act, by=caller)


@router.post(
    "/proposals/{proposal_id}/reject",
    summary="Reject proposed words",
    responses={200: {"model": ProposalOut}},
)
async def post_reject(
    request: Request, proposal_id: str, caller: _Writer, once: Once
) -> Response:
    """Say that these words are not to be proposed again."""
    loop = resources(request, Loop)

    async def act(tx: Transaction) -> Answer:
        return Answer(
            body=_proposal(await reject(tx, proposal_id, by=caller, now=loop.clock.now()))
        )

    return await once.act(loop.database, act, by=caller)
