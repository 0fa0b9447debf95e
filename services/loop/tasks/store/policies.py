"""The rule books and recovery schemes that apply now; the shipped ones until others are."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select

from services.loop.tasks.domain.rules import DEFAULT_RULES, RuleBook, rules_from
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME, RecoveryScheme, scheme_from
from services.loop.tasks.tables import rules, schemes
from shared.db.transaction import Reading


async def current_rules(view: Reading) -> RuleBook:
    """Return the rule book that applies now."""
    document = await view.scalar(
        select(rules.c.document).order_by(rules.c.version.desc()).limit(1)
    )
    return rules_from(document or DEFAULT_RULES)


async def current_schemes(view: Reading) -> Mapping[str, RecoveryScheme]:
    """Return the schemes that apply to new tasks, by id; the shipped one is always there."""
    found = {scheme.id: scheme for scheme in (scheme_from(DEFAULT_SCHEME),)}
    for row in await view.all(select(schemes.c.document).order_by(schemes.c.version)):
        scheme = scheme_from(row.document)
        found[scheme.id] = scheme
    return found


async def scheme_of(view: Reading, scheme_id: str, version: int) -> RecoveryScheme:
    """Return a scheme as it stood at one version; the shipped one for one that nobody knows."""
    document = await view.scalar(
        select(schemes.c.document).where(
            schemes.c.id == scheme_id, schemes.c.version == version
        )
    )
    return scheme_from(document or DEFAULT_SCHEME)
