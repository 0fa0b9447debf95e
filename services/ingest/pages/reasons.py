"""Why something was not taken in, in words, and what to do about it.

Reasons are stable codes: those of our own rules and those that a mapping gives; one that means
two things has its outcome before it. One that is not here, as an own mapping may give, stands
for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.ingest.domain.sources import Outcome
from shared.i18n import Reader, marked

OUTCOMES: Final[Mapping[str, tuple[str, str]]] = {
    "accepted": (marked("taken in"), "done"),
    "revised": (marked("revised"), "done"),
    "duplicate": (marked("repeated"), ""),
    "ignored": (marked("ignored"), ""),
    "rejected": (marked("rejected"), "late"),
    "refused": (marked("refused"), "late"),
}
"""What an outcome is called, and how it is set off: a class of the stylesheet."""

_NOTHING: Final = marked("Nothing: this is as it should be.")
_FIX_BODY: Final = marked("Correct it where the system puts the body together.")
_FIX_VALUE: Final = marked(
    "Correct it in the system, or convert the value in the mapping: open one to see where."
)

REASONS: Final[Mapping[str, tuple[str, str]]] = {
    # -- taken in, repeated
    "idempotency_key": (
        marked("The same request came again under its Idempotency-Key."),
        _NOTHING,
    ),
    # -- ignored
    "ping": (marked("A test ping of the sender."), _NOTHING),
    "dismissed": (marked("The customer closed the survey without an answer."), _NOTHING),
    "no_answer": (marked("Neither a score nor a comment."), _NOTHING),
    "partial": (
        marked("The customer has not finished yet."),
        marked("Nothing: the whole answer comes later."),
    ),
    "deleted": (
        marked("The sender deleted the answer."),
        marked("If the customer asked for it, erase them here as well."),
    ),
    "disqualified": (
        marked("The survey let the customer go: they are not among those it asks."),
        _NOTHING,
    ),
    "spam": (marked("The sender itself takes it for spam."), _NOTHING),
    "other_metric": (
        marked("A kind of score that is not known here."),
        marked("If you want its comments, write a mapping that takes them."),
    ),
    "other_event": (
        marked("An event that is no answer."),
        marked("Nothing; or choose fewer events in the sender."),
    ),
    "fetch_required": (
        marked("It says that there is an answer, but not which."),
        marked("Switch the sender to sending whole answers, or read them out and import them."),
    ),
    # -- not let in
    "key_ended": (
        marked("The key has ended or was revoked."),
        marked("Make a new key and exchange it in the system."),
    ),
    "no_signature": (
        marked("No signature and no key."),
        marked("Enter the secret of the sender here, or use the address with a key in it."),
    ),
    "bad_signature": (
        marked("The signature does not fit the secret."),
        marked(
            "Compare the secret in the sender with the one here; if in doubt make a new one."
        ),
    ),
    "old_timestamp": (
        marked("The signature is older than it may be."),
        marked("Set the clocks right. Calls repeated by hand are refused on purpose."),
    ),
    "wrong_key": (
        marked("The key at the address is none that is known."),
        marked("Make a key for this source and enter the address anew in the sender."),
    ),
    "wrong_hook": (
        marked("A key of this source was shown at the address of another one."),
        marked("Send to the address that stands on this page."),
    ),
    "unauthenticated": (
        marked("It was not proved who is calling."),
        marked("Send a key, or sign with the secret that stands here."),
    ),
    "forbidden": (
        marked("The key may not do this."),
        marked("Make a key that may send responses."),
    ),
    "key_in_query": (
        marked("A key stood in the query of the address."),
        marked("Revoke that key: addresses end up in logs. Send the next one in the header."),
    ),
    "refused/too_many": (
        marked("More requests than are allowed in a minute."),
        marked("Let the system wait as long as Retry-After says; or send batches."),
    ),
    "method_not_allowed": (
        marked("The wrong HTTP method."),
        marked("Send it as POST."),
    ),
    "conflict": (
        marked("The same Idempotency-Key was at work at that moment."),
        marked("Nothing, if the system tries again."),
    ),
    # -- not readable
    "unreadable": (marked("The body or a header could not be read."), _FIX_BODY),
    "unsupported_type": (
        marked("A content type that is not taken."),
        marked("Send application/json, uncompressed and in UTF-8."),
    ),
    "too_large": (
        marked("More than fits into one call."),
        marked("Send less at once: 256 kB a response, 16 MB a batch."),
    ),
    "too_many_answers": (
        marked("More than 200 answers in one call."),
        marked("Send fewer at once."),
    ),
    "too_much_work": (
        marked("Reading it takes too many steps."),
        marked("Send fewer answers at once, or write simpler paths in the mapping."),
    ),
    "too_slow": (
        marked("The body did not arrive in time."),
        marked("Let the system begin to send when all of it is there."),
    ),
    "not_json": (marked("A line or an item that is no JSON."), _FIX_BODY),
    "not_csv": (marked("A table that cannot be read as CSV."), _FIX_BODY),
    "wrong_number_of_cells": (
        marked("A row with more or fewer cells than the header."),
        marked("Quote values that hold a separator or a line break."),
    ),
    "duplicate_member": (marked("A member of the JSON stood there twice."), _FIX_BODY),
    "not_finite": (marked("A number without an end (NaN or infinity)."), _FIX_BODY),
    "number_too_long": (
        marked("A number with more than 18 digits."),
        marked("Send long numbers as text."),
    ),
    "too_many_members": (marked("Too many members in one object."), _FIX_BODY),
    "too_deep": (marked("The JSON is nested too deeply."), _FIX_BODY),
    "nul": (marked("A text holds the character NUL."), _FIX_BODY),
    "lone_surrogate": (marked("A text holds half of a character."), _FIX_BODY),
    # -- read, and against a rule
    "missing": (marked("Something that is needed is not there."), _FIX_VALUE),
    "blank": (marked("Something that is needed is blank."), _FIX_VALUE),
    "empty": (marked("Something that is needed is empty."), _FIX_VALUE),
    "too_long": (marked("A text is too long."), _FIX_VALUE),
    "too_many": (marked("More attributes than are kept."), _FIX_VALUE),
    "control_character": (marked("A text holds control characters."), _FIX_VALUE),
    "not_printable": (marked("A text with signs that cannot be seen."), _FIX_VALUE),
    "unsupported": (marked("A version or form of CloudEvents that is not taken."), _FIX_BODY),
    "wrong_type": (marked("A value is of the wrong type."), _FIX_VALUE),
    "not_an_object": (marked("An answer that is no object with members."), _FIX_VALUE),
    "unknown_value": (marked("A value that is not one of those allowed."), _FIX_VALUE),
    "out_of_range": (marked("A number outside its range."), _FIX_VALUE),
    "not_integer": (marked("A score that is no whole number."), _FIX_VALUE),
    "not_number": (marked("A value that is no number."), _FIX_VALUE),
    "not_text": (marked("A value that is no text."), _FIX_VALUE),
    "not_boolean": (marked("A value that is neither yes nor no."), _FIX_VALUE),
    "not_in_map": (marked("A word that the mapping does not know."), _FIX_VALUE),
    "not_a_date": (marked("A date that cannot be read."), _FIX_VALUE),
    "not_a_time": (marked("A time that cannot be read."), _FIX_VALUE),
    "in_future": (
        marked("An answer from the future."),
        marked("Set the clock and the time zone of the system right."),
    ),
    "invalid": (marked("The content breaks a rule."), _FIX_VALUE),
    "too_many_revisions": (
        marked("One answer was changed too often."),
        marked("Find out why the system sends it again and again."),
    ),
    "idempotency_key_reused": (
        marked("An Idempotency-Key came with another content before."),
        marked("Let the system use a new key for a new request."),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Became:
    """What became of something, in words."""

    outcome: str
    look: str
    why: str
    remedy: str
    code: str
    """The reason's stable code, where there is one: for whoever asks the sender about it."""
    path: str = ""


def became(outcome: Outcome, reason: str | None, reader: Reader, *, path: str = "") -> Became:
    """Say what became of something, why, and what to do."""
    word, look = OUTCOMES[outcome]
    code = reason or ""
    why, remedy = REASONS.get(f"{outcome}/{code}") or REASONS.get(code) or (code, "")
    return Became(
        outcome=reader.gettext(word),
        look=look,
        why=reader.gettext(why) if why else "",
        remedy=reader.gettext(remedy) if remedy else "",
        code=code,
        path=path,
    )
