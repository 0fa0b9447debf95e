"""What the members of a rule are called on pages, and a rule as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.loop.tasks.domain.rulebooks import Document
from shared.i18n import Reader, marked
from shared.web.forms import Option

METRICS: Final[Mapping[str, str]] = {"nps": "NPS", "csat": "CSAT", "ces": "CES"}

MEASUREMENTS: Final[Mapping[str, str]] = {
    "transactional": marked("after an event"),
    "periodic": marked("asked at intervals"),
    "unsolicited": marked("came unasked"),
}

SENTIMENTS: Final[Mapping[str, str]] = {
    "negative": marked("negative"),
    "neutral": marked("neutral"),
    "positive": marked("positive"),
}

FIELDS: Final[Mapping[str, str]] = {
    "segment": marked("Segment"),
    "product": marked("Product"),
    "touchpoint": marked("Touchpoint"),
    "channel": marked("Channel"),
    "reason": marked("Contact reason"),
    "theme": marked("Theme"),
    "language": marked("Language"),
    "annual_value": marked("Value a year"),
    "repeat": marked("Unhappy before"),
    "has_comment": marked("With a comment"),
    "score": marked("Score"),
    "metric": marked("Metric"),
    "category": marked("Category"),
    "source": marked("Source"),
    "emotion": marked("Emotion"),
}

OPS: Final[Mapping[str, str]] = {
    "is": marked("is"),
    "is_not": marked("is not"),
    "in": marked("is one of"),
    "not_in": marked("is none of"),
    "at_least": marked("is at least"),
    "at_most": marked("is at most"),
    "exists": marked("is known"),
}

KINDS: Final[Mapping[str, str]] = {
    "touchpoint_owner": marked("the owner of the touchpoint"),
    "contact_owner": marked("the customer's contact person"),
    "team": marked("a team"),
    "person": marked("one person"),
}


def options(texts: Mapping[str, str], reader: Reader) -> Sequence[Option]:
    """Return what can be chosen, in the reader's language."""
    return [Option(value=value, label=reader.gettext(text)) for value, text in texts.items()]


def when(rule: Document, reader: Reader) -> Sequence[str]:
    """Say what a rule asks for, a sentence each."""
    said = [
        reader.gettext("%(metric)s %(low)s to %(high)s", metric=METRICS[metric], low=a, high=b)
        for metric, (a, b) in rule["scores"].items()
    ]
    said += [
        reader.gettext("%(feeling)s without a score", feeling=reader.gettext(SENTIMENTS[one]))
        for one in rule["unscored"]
    ]
    scores = [reader.listed(said)] if said else []
    return [*scores, *(condition(one, reader) for one in rule["conditions"])]


def condition(one: Document, reader: Reader) -> str:
    """Say what one condition asks for."""
    return f"{reader.gettext(FIELDS[one['field']])} {reader.gettext(OPS[one['op']])}: " + (
        value_text(one["value"], reader)
    )


def value_text(value: Any, reader: Reader) -> str:  # noqa: ANN401 - as a document holds it
    """Return a value as it is read, and typed."""
    if isinstance(value, bool):
        return reader.gettext("yes") if value else reader.gettext("no")
    if isinstance(value, list | tuple):
        return ", ".join(value_text(one, reader) for one in value)
    return str(value)


def owner(rule: Document, names: Mapping[str, str], reader: Reader) -> str:
    """Say who gets the tasks of a rule."""
    choice = rule["owner"]
    named = choice["id"]
    text = names.get(named, named) if named else reader.gettext(KINDS[choice["kind"]])
    deputy = choice["deputy"]
    if deputy is None:
        return text
    return reader.gettext(
        "%(owner)s, else %(deputy)s", owner=text, deputy=names.get(deputy, deputy)
    )


def change(word: str, reader: Reader) -> str:
    """Say how a rule book differs from another; ``word`` is one of ``differences``."""
    kind, _, rule_id = word.partition(":")
    return {
        "added": reader.gettext("%(rule)s added", rule=rule_id),
        "removed": reader.gettext("%(rule)s removed", rule=rule_id),
        "changed": reader.gettext("%(rule)s changed", rule=rule_id),
        "order": reader.gettext("another order"),
        "repeat": reader.gettext("unhappy again"),
        "burst": reader.gettext("many at once"),
        "too_old_after_days": reader.gettext("old answers"),
    }[kind]
