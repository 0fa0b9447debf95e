"""Rule books as documents: what is wrong with one, how one is changed, how two differ.

A document is kept as it was published, so that every version can be read and put back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from services.loop.tasks.domain.conditions import Condition, why_not
from services.loop.tasks.domain.rules import DEFAULT_RULES
from shared.errors import Conflict, Finding, NotFound
from shared.stats.categories import RANGES

Document = Mapping[str, Any]

RULE_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
RESERVED: Final = frozenset({"draft", "versions", "try"})
"""Ids that are addresses of something else."""
MOST_RULES: Final = 200
_COMMON: Final = ("too_old_after_days", "repeat", "burst")


def findings_of(
    document: Document, *, schemes: Collection[str], able: Collection[str]
) -> Sequence[Finding]:
    """Return what keeps a rule book from being used; ``able`` are all who may be named."""
    found: list[Finding] = []
    seen: set[str] = set()
    for n, rule in enumerate(document["rules"]):
        place = f"/rules/{n}"
        if not RULE_ID.fullmatch(rule["id"]) or rule["id"] in RESERVED:
            found.append(_bad_id(f"{place}/id"))
        elif rule["id"] in seen:
            found.append(_taken(f"{place}/id"))
        seen.add(rule["id"])
        found += _of_rule(rule, place, schemes=schemes, able=able)
    return found


def _of_rule(
    rule: Document, place: str, *, schemes: Collection[str], able: Collection[str]
) -> Iterator[Finding]:
    if rule["scheme"] not in schemes:
        yield Finding(
            pointer=f"{place}/scheme",
            code="unknown_scheme",
            detail="there is no such scheme",
            fix="send an id of /v1/schemes",
        )
    if not (rule["scores"] or rule["unscored"] or rule["conditions"]):
        yield Finding(
            pointer=place,
            code="matches_nothing",
            detail="neither scores, sentiments nor conditions are named",
            fix="send scores, unscored or conditions",
        )
    for metric, (low, high) in rule["scores"].items():
        least, most = RANGES[metric]
        if not least <= low <= high <= most:
            yield Finding(
                pointer=f"{place}/scores/{metric}",
                code="out_of_range",
                detail="no such scores in this metric",
                fix=f"send the lowest and the highest of {least} to {most}",
            )
    for n, one in enumerate(rule["conditions"]):
        wrong = why_not(Condition(**one))
        if wrong is not None:
            yield Finding(
                pointer=f"{place}/conditions/{n}/{wrong}",
                code="not_comparable",
                detail="this field cannot be compared like this",
                fix="see the description of conditions for what goes with which field",
            )
    owner = rule["owner"]
    named = owner["kind"] in {"team", "person"}
    if named != (owner.get("id") is not None):
        yield _no_owner(f"{place}/owner/id")
    for member in ("id", "deputy"):
        who = owner.get(member)
        if who is not None and who not in able:
            yield _no_owner(f"{place}/owner/{member}")


def owner_ids(document: Document) -> frozenset[str]:
    """Return everybody whom the rules of a book name."""
    return frozenset(
        who
        for rule in document["rules"]
        for member in ("id", "deputy")
        if (who := rule["owner"].get(member)) is not None
    )


def names(rule: Document, who: str) -> bool:
    """Tell whether a rule names somebody, as owner or deputy."""
    return who in {rule["owner"].get("id"), rule["owner"].get("deputy")}


def replaced(document: Document, who: str, by: str) -> dict[str, Any]:
    """Return the book with somebody else wherever a rule names ``who``."""
    kind = "team" if by.startswith("team_") else "person"
    rules = []
    for rule in document["rules"]:
        owner = {**rule["owner"]}
        if owner.get("id") == who:
            owner |= {"id": by, "kind": kind}
        if owner.get("deputy") == who:
            # Nobody stands in for themselves.
            owner["deputy"] = None if owner.get("id") == by else by
        elif owner.get("deputy") == by and owner.get("id") == by:
            owner["deputy"] = None
        rules.append({**rule, "owner": owner})
    return {**document, "rules": rules}


def _bad_id(pointer: str) -> Finding:
    return Finding(
        pointer=pointer,
        code="not_an_id",
        detail="not usable as the id of a rule",
        fix="send up to 60 small letters, digits and hyphens, such as business-customers",
    )


def _taken(pointer: str) -> Finding:
    return Finding(
        pointer=pointer,
        code="taken",
        detail="another rule has this id",
        fix="send another id",
    )


def _no_owner(pointer: str) -> Finding:
    return Finding(
        pointer=pointer,
        code="unknown_owner",
        detail="nobody who can be given work, or one where none is named",
        fix="send the id of an active member of staff or of a team, or leave it out",
    )


def whole(document: Document) -> dict[str, Any]:
    """Return a document with every member, also those that an earlier version left out."""
    repeat, burst = document.get("repeat") or {}, document.get("burst") or {}
    return {
        "version": document["version"],
        "too_old_after_days": document["too_old_after_days"],
        "repeat": {
            "within_days": repeat.get("within_days", 0),
            "share_of_time": repeat.get("share_of_time", 1.0),
        },
        "burst": {
            "at_least": burst.get("at_least", 0),
            "within_minutes": burst.get("within_minutes", 60),
        },
        "rules": [_whole_rule(rule) for rule in document["rules"]],
    }


def _whole_rule(rule: Document) -> dict[str, Any]:
    owner = rule.get("owner") or {}
    return {
        "id": rule["id"],
        "name": rule["name"],
        "enabled": rule.get("enabled", True),
        "measurements": list(rule["measurements"]),
        "scores": {metric: list(band) for metric, band in rule["scores"].items()},
        "unscored": list(rule["unscored"]),
        "conditions": [
            {"field": one["field"], "op": one["op"], "value": one.get("value")}
            for one in rule.get("conditions", ())
        ],
        "owner": {
            "kind": owner.get("kind", "touchpoint_owner"),
            "id": owner.get("id"),
            "deputy": owner.get("deputy"),
        },
        "scheme": rule["scheme"],
    }


SHIPPED: Final[Document] = whole(DEFAULT_RULES)
"""The rule book of an installation in which nobody has published one."""


def position_of(document: Document, rule_id: str) -> int:
    """Return where a rule stands, the first one being 0; raise ``NotFound``."""
    for n, rule in enumerate(document["rules"]):
        if rule["id"] == rule_id:
            return n
    raise NotFound("There is no rule with this id. List them at /v1/routing-rules.")


def with_rule(document: Document, rule: Document, at: int | None) -> dict[str, Any]:
    """Return the book with one more rule, at the end or where it is wanted."""
    rules = [*document["rules"]]
    if any(one["id"] == rule["id"] for one in rules):
        raise Conflict("A rule with this id exists already.", slug="id-taken")
    if len(rules) >= MOST_RULES:
        raise Conflict(f"A rule book holds up to {MOST_RULES} rules. Remove one first.")
    rules.insert(len(rules) if at is None else at, rule)
    return {**document, "rules": rules}


def changed(
    document: Document, rule_id: str, changes: Mapping[str, Any], at: int | None = None
) -> dict[str, Any]:
    """Return the book after members of one rule changed, and maybe its place."""
    here = position_of(document, rule_id)
    rules = [*document["rules"]]
    rule = {**rules.pop(here), **changes, "id": rule_id}
    rules.insert(here if at is None else at, rule)
    return {**document, "rules": rules}


def without(document: Document, rule_id: str) -> dict[str, Any]:
    """Return the book without one rule."""
    here = position_of(document, rule_id)
    return {**document, "rules": [r for n, r in enumerate(document["rules"]) if n != here]}


def differences(before: Document, after: Document) -> Sequence[str]:
    """Return how a book differs from an earlier one, as stable words: ``changed:vip``."""
    old = {rule["id"]: rule for rule in before["rules"]}
    new = {rule["id"]: rule for rule in after["rules"]}
    found = [f"added:{rule_id}" for rule_id in new if rule_id not in old]
    found += [f"removed:{rule_id}" for rule_id in old if rule_id not in new]
    found += [f"changed:{i}" for i, rule in new.items() if i in old and old[i] != rule]
    if [i for i in old if i in new] != [i for i in new if i in old]:
        found.append("order")
    found += [name for name in _COMMON if before[name] != after[name]]
    return found
