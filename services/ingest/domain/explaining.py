"""What a mapping finds in a payload, field by field: for people who mend one.

Reading says what becomes of an answer and stops at the first thing that is wrong; here every
field is looked at, whatever became of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.ingest.domain.expressions import Call
from services.ingest.domain.hook_mapping import HookMapping, conversion_of
from services.ingest.domain.hook_parts import Rule
from services.ingest.domain.questions import asked
from services.ingest.domain.values import CannotConvert

MOST_EXPLAINED: Final = 10
"""Of how many answers of one call the fields are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One field of a mapping, and what it finds in an answer."""

    member: str
    path: str
    """Where the value was found, or every path that was tried."""
    value: Any = field(default=None, repr=False)
    """The value as it would be recorded; None where there is none."""
    wrong: str = ""
    """The stable code of why what is there cannot be used."""


def explain(
    mapping: HookMapping,
    payload: Any,  # noqa: ANN401 - any JSON value
    headers: Mapping[str, str],
    query: Mapping[str, Any],
) -> Sequence[Sequence[Seen]]:
    """Return what every field finds, for each of the first answers in a payload."""
    seen: list[Sequence[Seen]] = []
    for call in mapping.payloads(Call(payload, headers, query)):
        _, found = mapping.answers_in(call)
        for answer in found if isinstance(found, list) else [found]:
            seen.append(_fields(call, mapping, answer) if isinstance(answer, dict) else [])
            if len(seen) == MOST_EXPLAINED:
                return seen
    return seen


def _fields(call: Call, mapping: HookMapping, answer: Mapping[str, Any]) -> Sequence[Seen]:
    """Return what the fields of an answer find, then those of its questions."""
    call.look_at(answer)
    looked_at = [(mapping.fields, answer)]
    looked_at += [(q.fields, item) for q, item in asked(call, mapping.questions, answer)]
    return [
        _seen(call, member, rules, item)
        for fields, item in looked_at
        for member, rules in fields.items()
    ]


def _seen(call: Call, member: str, rules: Sequence[Rule], answer: Mapping[str, Any]) -> Seen:
    for rule in rules:
        if rule.when is not None and not call.holds(rule.when, answer):
            continue
        raw = rule.value if rule.path is None else call.find(rule.path, answer)
        try:
            conversion = conversion_of(call, rule, answer)
            value = raw if rule.path is None else conversion.convert(raw)
        except CannotConvert as error:
            return Seen(member=member, path=_path(rule), wrong=error.code)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return Seen(member=member, path=_path(rule), value=value)
    tried = dict.fromkeys(path for rule in rules if (path := _path(rule)))
    return Seen(member=member, path=", ".join(tried))


def _path(rule: Rule) -> str:
    """Return where a rule looks; of one with a fixed value, nothing."""
    return "" if rule.path is None else rule.path.text
