"""What an act is posted as.

Bodies are read strictly and unknown members refused: a typo must not be silent. Findings name
the member and say what to send; what was sent is never repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import override

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain import acts
from services.loop.tasks.domain.acts import Act
from services.loop.tasks.domain.task import (
    Benefit,
    CauseArea,
    CloseReason,
    ContactMode,
    ContactResult,
    HowItEnded,
    KnownBy,
    Step,
    Verdict,
)
from services.loop.tasks.schemas.values import (
    Feeling,
    MaybeWords,
    Moment,
    OwnerId,
    Value,
    Words,
)
from shared.errors import Finding, Invalid

S = TypeVar("S", bound="ActIn")
MakesAct = Callable[..., Act]


class ActIn(BaseModel):
    """What is posted to carry out an act; its members are the act's unless it says more."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True
    )

    ACT: ClassVar[MakesAct]
    SUMMARY: ClassVar[str]
    BLANK: ClassVar[bool] = False
    """Whether the body may be left out."""

    def to_act(self, owner: OwnerRef | None) -> Act:
        """Leave the wire behind; ``owner`` is whom the member of that name stands for."""
        members = {name: getattr(self, name) for name in type(self).model_fields}
        return self.ACT(**(members | ({} if owner is None else {"owner": owner})))


class ClaimIn(ActIn):
    """Nothing to say."""

    ACT: ClassVar[MakesAct] = acts.Claim
    SUMMARY = "Take a task that a team holds; the first one wins"
    BLANK = True


class AssignIn(ActIn):
    """To whom, and why."""

    ACT: ClassVar[MakesAct] = acts.Assign
    SUMMARY = "Give a task to a person or a team"

    owner: OwnerId
    reason: Words


class ContactIn(ActIn):
    """How staff tried to reach the customer, and what came of it."""

    ACT: ClassVar[MakesAct] = acts.LogContact
    SUMMARY = "Record a try to reach the customer"

    mode: ContactMode
    result: ContactResult
    note: MaybeWords = None
    next_contact_at: Moment | None = None
    emotion_before: Feeling = None
    emotion_after: Feeling = None


class StepIn(ActIn):
    """Which step of RESOLVED was taken; the last one is part of resolving."""

    ACT: ClassVar[MakesAct] = acts.TakeStep
    SUMMARY = "Record a step of RESOLVED"

    step: Literal["respond", "empathise", "seek", "open", "listen", "verify", "eliminate"]
    note: MaybeWords = None

    @override
    def to_act(self, owner: OwnerRef | None) -> Act:
        return acts.TakeStep(step=Step(self.step), note=self.note)


class AgreementIn(ActIn):
    """What the customer asked for and what was agreed, with whom and when."""

    ACT: ClassVar[MakesAct] = acts.Agree
    SUMMARY = "Record what was agreed with the customer (the step verify)"

    agreed: Words
    asked_for: MaybeWords = None
    agreed_with: MaybeWords = Field(default=None, alias="with")
    at: Moment | None = None


class ActionIn(ActIn):
    """What was promised to the customer, who does it and until when."""

    ACT: ClassVar[MakesAct] = acts.PromiseAction
    SUMMARY = "Add an agreed action with its own owner and due time"

    what: Words
    owner: OwnerId
    due_at: Moment


class WaitIn(ActIn):
    """Whose move it is."""

    ACT: ClassVar[MakesAct] = acts.Wait
    SUMMARY = "Wait for the customer or for another department"

    waiting_for: Literal["customer", "internal"] = Field(alias="for")
    until: Moment | None = None
    note: MaybeWords = None


class ResumeIn(ActIn):
    """Nothing to say."""

    ACT: ClassVar[MakesAct] = acts.Resume
    SUMMARY = "Go on after waiting"
    BLANK = True


class SnoozeIn(ActIn):
    """Until when."""

    ACT: ClassVar[MakesAct] = acts.Snooze
    SUMMARY = "Put a task out of sight until a time; its clock runs on"

    until: Moment


class RemedyIn(ActIn):
    """Which remedy of the task's scheme, and what it is worth."""

    ACT: ClassVar[MakesAct] = acts.Grant
    SUMMARY = "Grant a remedy; beyond its limit it waits for approval"

    remedy: Annotated[str, Field(min_length=1, max_length=80)]
    value: Value | None = None
    note: MaybeWords = None

    @override
    def to_act(self, owner: OwnerRef | None) -> Act:
        return acts.Grant(
            remedy=self.remedy,
            amount=self.value.amount if self.value else None,
            currency=self.value.currency if self.value else None,
            note=self.note,
        )


class ApproveIn(ActIn):
    """Which remedy, by its number where several wait."""

    ACT: ClassVar[MakesAct] = acts.Approve
    SUMMARY = "Approve a remedy beyond its limit"
    BLANK = True

    n: int | None = None
    note: MaybeWords = None


class DeclineIn(ActIn):
    """Which remedy, by its number where several wait, and why."""

    ACT: ClassVar[MakesAct] = acts.Decline
    SUMMARY = "Decline a remedy beyond its limit"
    BLANK = True

    n: int | None = None
    reason: MaybeWords = None


class NoteIn(ActIn):
    """A note for colleagues."""

    ACT: ClassVar[MakesAct] = acts.AddNote
    SUMMARY = "Keep a note for colleagues"

    text: Words


class RootCause(BaseModel):
    """Where the cause lies, and what it is."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    area: CauseArea
    text: Words


class ResolveIn(ActIn):
    """How it ended, why it happened, and what follows from it."""

    ACT: ClassVar[MakesAct] = acts.Resolve
    SUMMARY = "Resolve: document outcome and root cause (the step document)"

    outcome: HowItEnded
    root_cause: RootCause
    content: Verdict
    avoidable: Verdict
    lesson: MaybeWords = None
    benefits: list[Benefit] = Field(default_factory=list, max_length=4)
    content_known_by: KnownBy | None = Field(
        default=None,
        description="how it is known; what is known counts as said in the contact",
    )
    worth: Value | None = Field(default=None, description="what it was worth in money")

    @override
    def to_act(self, owner: OwnerRef | None) -> Act:
        return acts.Resolve(
            outcome=self.outcome,
            cause_area=self.root_cause.area,
            cause=self.root_cause.text,
            content=self.content,
            avoidable=self.avoidable,
            lesson=self.lesson,
            benefits=tuple(dict.fromkeys(self.benefits)),
            content_known_by=self.content_known_by,
            worth=self.worth.amount if self.worth else None,
            currency=self.worth.currency if self.worth else None,
        )


class ConfirmIn(ActIn):
    """Nothing to say; only a yes that did not come through staff counts as the customer's."""

    ACT: ClassVar[MakesAct] = acts.Confirm
    SUMMARY = "Record the customer's yes: it is settled"
    BLANK = True


class CloseIn(ActIn):
    """Why the task ends without a resolution."""

    ACT: ClassVar[MakesAct] = acts.Close
    SUMMARY = "Close a task without a resolution"

    reason: CloseReason
    note: Words


class ReopenIn(ActIn):
    """Why the task is not over."""

    ACT: ClassVar[MakesAct] = acts.Reopen
    SUMMARY = "Open an ended task again; its clock never stopped"

    reason: Words


class RecogniseIn(ActIn):
    """To whom the praise goes, and what you add to it."""

    ACT: ClassVar[MakesAct] = acts.Recognise
    SUMMARY = "Pass a customer's praise on to a colleague"

    owner: OwnerId = Field(alias="to")
    note: MaybeWords = None


class ExampleIn(ActIn):
    """Whether colleagues may learn from it; names and numbers are covered up."""

    ACT: ClassVar[MakesAct] = acts.ShareExample
    SUMMARY = "Mark an ended task as a good example, or no longer"
    BLANK = True

    shared: bool = True


ACTS: Mapping[str, type[ActIn]] = {
    "claim": ClaimIn,
    "assign": AssignIn,
    "contacts": ContactIn,
    "steps": StepIn,
    "agreement": AgreementIn,
    "actions": ActionIn,
    "wait": WaitIn,
    "resume": ResumeIn,
    "snooze": SnoozeIn,
    "remedies": RemedyIn,
    "approve": ApproveIn,
    "decline": DeclineIn,
    "notes": NoteIn,
    "resolve": ResolveIn,
    "confirm": ConfirmIn,
    "close": CloseIn,
    "reopen": ReopenIn,
    "recognitions": RecogniseIn,
    "example": ExampleIn,
}
"""The acts by their last path segment."""


def parse(kind: type[S], document: object) -> S:
    """Return the posted act; raise ``Invalid`` with a finding per member that is wrong."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        names = [field.alias or name for name, field in kind.model_fields.items()]
        findings = [_finding(one, names) for one in error.errors()]
        raise Invalid("The act cannot be carried out as it was sent.", findings) from None


def body_of(kind: type[ActIn]) -> dict[str, Any]:
    """Return the description of an act's body for the OpenAPI document."""
    schema = kind.model_json_schema(by_alias=True)
    schema = _inlined(schema, schema.pop("$defs", {}))
    return {
        "requestBody": {
            "required": not kind.BLANK,
            "content": {"application/json": {"schema": schema}},
        }
    }


def _inlined(part: Any, parts: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON schema
    """Return a schema with what it refers to in its place: one document has no second one."""
    if isinstance(part, list):
        return [_inlined(each, parts) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _inlined(parts[part["$ref"].rpartition("/")[2]], parts)
    return {name: _inlined(each, parts) for name, each in part.items()}


_EXPLAINED = {
    "missing": ("required", "this member is missing", "send it"),
    "extra_forbidden": ("unknown_member", "the object has a member that is not known here", ""),
    "string_type": ("not_text", "not a text", "send a JSON string"),
    "string_too_short": ("blank", "nothing in it", "send at least one character"),
    "string_too_long": ("too_long", "too long", ""),
    "literal_error": ("not_a_choice", "not one of the possible values", ""),
    "not_a_moment": (
        "not_a_time",
        "not a time",
        "send RFC 3339 with an offset, such as 2026-03-02T09:00:00Z",
    ),
    "not_an_amount": ("not_an_amount", "not an amount of money", "send a number such as 12.50"),
    "string_pattern_mismatch": (
        "not_a_currency",
        "not a currency",
        "send three letters such as EUR",
    ),
    "control_character": ("control_character", "holds a control character", "leave it out"),
    "model_type": ("not_an_object", "not an object", "send a JSON object"),
}


def _finding(error: Mapping[str, Any], names: Sequence[str]) -> Finding:
    code, detail, fix = _EXPLAINED.get(
        error["type"], ("invalid", "does not have the expected form", "see /docs")
    )
    place = list(error["loc"])
    context = error.get("ctx", {})
    if code == "unknown_member":
        # Its name was made up by the sender, so it is not repeated.
        place.pop()
        fix = f"send only: {', '.join(names)}" if not place else "leave it out"
    elif code == "not_a_choice":
        fix = f"send {context['expected']}"
    elif code == "too_long":
        fix = f"send at most {context['max_length']} characters"
    return Finding(
        pointer="".join(f"/{part}" for part in place), code=code, detail=detail, fix=fix
    )
