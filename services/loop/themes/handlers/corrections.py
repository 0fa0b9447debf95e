"""What members of staff say of the themes in a response, and taking it back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.loop.responses.domain import Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import find, find_to_change
from services.loop.themes import store
from services.loop.themes.domain import Mention, Taxonomy
from services.loop.themes.domain.corrections import (
    Correction,
    Verdict,
    corrected,
    stands_for,
)
from services.loop.themes.domain.counts import moves
from services.loop.themes.handlers.editing import current_taxonomy
from services.loop.themes.store import MentionRow
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Finding, Invalid, NotFound
from shared.identity import audit
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.text.language import guess
from shared.text.stems import primary
from shared.text.tokens import PATTERN


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A response's themes as they stand, and what people said of them."""

    response: Response
    themes: Sequence[MentionRow]
    corrections: Sequence[Correction]


async def correct(
    tx: Transaction,
    response_id: str,
    theme_id: str,
    verdict: Verdict,
    *,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
    drawn: bool = False,
) -> Judged:
    """Note that a theme is not in a response, is in it as well, or was rightly found.

    It holds until it is taken back or the customer writes something else, whatever version of
    the taxonomy comes into use. A later word on the same theme takes the place of this one.
    ``drawn`` tells that the response was drawn for a check.
    """
    response, language = await _readable(tx, response_id, person_keys)
    version = await store.hold_version(tx) or 0
    theme_id = _known((await current_taxonomy(tx)).taxonomy, theme_id, verdict)
    before = await _judged(tx, response)
    stored = {row.theme_id: row for row in before.themes}
    earlier = {one.theme_id: one for one in before.corrections}
    if verdict == "right" and theme_id not in stored:
        raise Conflict(
            "This theme was not found in the response. Say “also” to add it.",
            slug="theme-not-found-there",
            extra={"themes": sorted(stored)},
        )
    found: Mention | None = None
    if theme_id in earlier:
        found, version = earlier[theme_id].found, earlier[theme_id].taxonomy_version
    elif theme_id in stored:
        row = stored[theme_id]
        found, version = row.mention, row.taxonomy_version
    new = Correction(
        response_id=response_id,
        theme_id=theme_id,
        verdict=verdict,
        language=language,
        drawn=drawn,
        judged_at=now,
        judged_by=by.id,
        found=found,
        taxonomy_version=version,
    )
    await audit.record(
        tx,
        by,
        "theme.corrected",
        f"response/{response_id}",
        {"theme": theme_id, "verdict": verdict},
        now=now,
    )
    return await _write(tx, before, {**earlier, theme_id: new}, new)


async def take_back(
    tx: Transaction, response_id: str, theme_id: str, *, by: Principal, now: datetime
) -> Judged:
    """Let hold again what the taxonomy says of a theme in a response."""
    response = (await find_to_change(tx, [response_id])).get(response_id)
    if response is None:
        raise _no_response()
    await store.hold_version(tx)
    before = await _judged(tx, response)
    left = {one.theme_id: one for one in before.corrections}
    if theme_id not in left:
        theme_id = stands_for((await current_taxonomy(tx)).taxonomy, theme_id)
    gone = left.pop(theme_id, None)
    if gone is None:
        raise NotFound("Nobody has said anything of this theme in this response.")
    await audit.record(
        tx,
        by,
        "theme.correction-undone",
        f"response/{response_id}",
        {"theme": theme_id, "verdict": gone.verdict},
        now=now,
    )
    return await _write(tx, before, left, gone)


async def judged(view: Reading, response_id: str) -> Judged:
    """Return the themes of a response and what people said of them, or raise ``NotFound``."""
    response = await find(view, response_id)
    if response is None:
        raise _no_response()
    return await _judged(view, response)


async def corrections_of(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, Sequence[Correction]]:
    """Return what people said of themes in these responses, by response."""
    return await store.corrections_of(view, response_ids)


def language_of(response: Response, comment: str) -> str:
    """Return the language that a comment is taken to be in, "" where it is doubtful."""
    return primary(response.language)[:20] or guess(PATTERN.findall(comment.lower()))


async def _readable(
    tx: Transaction, response_id: str, person_keys: PersonKeys
) -> tuple[Response, str]:
    """Return a response whose words can be judged, and their language; "" if doubtful."""
    response = (await find_to_change(tx, [response_id])).get(response_id)
    if response is None:
        raise _no_response()
    person = (await open_persons(tx, person_keys, [response])).get(response_id)
    if person is None:
        raise Conflict(
            "The customer was forgotten and the words with them. What was found in them stays.",
            slug="words-are-gone",
        )
    if not person.comment:
        raise Conflict("There are no words in this response to find a theme in.")
    return response, language_of(response, person.comment)


def _known(taxonomy: Taxonomy, theme_id: str, verdict: Verdict) -> str:
    """Return the id of the theme that is meant, or raise ``Invalid`` or ``Conflict``."""
    theme = taxonomy.find(stands_for(taxonomy, theme_id))
    if theme is None:
        raise Invalid(
            "The taxonomy holds no such theme.",
            [
                Finding(
                    pointer="/theme_id",
                    code="unknown_theme",
                    detail="no theme of the taxonomy in use",
                    fix="send the id of a theme from GET /v1/taxonomy",
                )
            ],
        )
    if theme.retired and verdict == "also":
        raise Conflict(
            "This theme is retired. Bring it back first, or choose another one.",
            slug="theme-retired",
        )
    return theme.id


async def _judged(view: Reading, response: Response) -> Judged:
    return Judged(
        response=response,
        themes=(await store.themes_of(view, [response.id]))[response.id],
        corrections=(await store.corrections_of(view, [response.id])).get(response.id, ()),
    )


async def _write(
    tx: Transaction, before: Judged, corrections: Mapping[str, Correction], about: Correction
) -> Judged:
    """Write what people say now, and the one mention that hangs on it."""
    response = before.response
    standing = corrected(
        [about.found] if about.found else [],
        [one for one in corrections.values() if one.theme_id == about.theme_id],
    )
    rows = [row for row in before.themes if row.theme_id != about.theme_id]
    rows += [
        MentionRow.of(
            response.id,
            mention,
            answered_at=response.answered_at,
            version=about.taxonomy_version,
        )
        for mention in standing
    ]
    await store.replace_corrections(tx, [response.id], corrections.values())
    await store.remove_mentions(tx, [response.id])
    await store.add_mention_rows(tx, rows)
    if not response.is_sample:
        now, was = (sorted(row.theme_id for row in some) for some in (rows, before.themes))
        await store.move_rollups(tx, moves([(response, now)], [(response, was)]))
    return await _judged(tx, response)


def _no_response() -> NotFound:
    return NotFound("There is no response with this id.")
