"""What goes over the wire: the posted document's types, and the answers.

The types are checked strictly by pydantic, what the values mean by ``domain/reading.py``;
both report findings in one list, and neither ever repeats what was posted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    TypeAdapter,
    ValidationError,
)
from typing_extensions import TypedDict

from services.ingest.domain.reading import ReadResponse, read_response
from shared.errors import Finding, Invalid
from shared.identity.principal import Scope

_STRICT: Final = ConfigDict(strict=True, extra="allow", hide_input_in_errors=True)

Short = Annotated[str, Field(description="up to 200 characters, no control characters")]


class AnnualValueIn(TypedDict, total=False):
    """What the customer is worth in a year."""

    __pydantic_config__ = _STRICT  # type: ignore[misc] # pydantic reads it

    amount: StrictInt | StrictFloat | None
    currency: Annotated[str | None, Field(description="ISO 4217, such as EUR")]


class ConsentIn(TypedDict, total=False):
    """What the customer agreed to."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    follow_up: Annotated[bool | None, Field(description="may be asked whether it was settled")]
    news: Annotated[bool | None, Field(description="may be told what was improved")]


class CustomerIn(TypedDict, total=False):
    """Who answered; sealed as soon as it is stored."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    id: Annotated[str | StrictInt | None, Field(description="your id of the customer")]
    name: str | None
    email: Annotated[Any, Field(description="kept as given; unusable ones give a warning")]
    phone: Annotated[Any, Field(description="kept as given; unusable ones give a warning")]
    language: Annotated[str | None, Field(description="BCP 47, such as de")]
    account: str | None
    contact_owner: Annotated[str | None, Field(description="who looks after the customer")]
    annual_value: AnnualValueIn | None
    consent: ConsentIn | None
    do_not_contact: bool | None


class ResponseIn(TypedDict, total=False):
    """A response as a source posts it; unknown members are kept as attributes."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    external_id: Annotated[
        str | None,
        Field(description="required: the answer's id in your system, 1 to 200 characters"),
    ]
    measurement: Annotated[
        Literal["transactional", "periodic", "unsolicited"] | None,
        Field(description="default: transactional"),
    ]
    metric: Annotated[
        Literal["nps", "csat", "ces"] | None,
        Field(description="nps 0 to 10 (default), csat 1 to 5, ces 1 to 7 (7 = very easy)"),
    ]
    score: Annotated[
        StrictInt | None,
        Field(description="in the metric's range; may be missing for unsolicited feedback"),
    ]
    comment: Annotated[
        str | None, Field(description="up to 10,000 characters, kept byte for byte")
    ]
    sentiment: Annotated[
        Literal["negative", "neutral", "positive"] | None,
        Field(description="for feedback without a score"),
    ]
    language: Short | None
    touchpoint: Short | None
    transaction_id: Short | None
    segment: Short | None
    product: Short | None
    channel: Short | None
    reason: Short | None
    emotion: Short | None
    question_version: Short | None
    answered_at: Annotated[
        str | None,
        Field(
            description="RFC 3339 with an offset; default: when we accept it",
            json_schema_extra={"format": "date-time"},
        ),
    ]
    customer: CustomerIn | None
    attributes: Annotated[
        dict[str, Any] | None, Field(description="up to 50 values under names of your own")
    ]


_document: Final = TypeAdapter(ResponseIn)
_check: Final = _document.validator.validate_python

_MEMBERS: Final = {
    **dict.fromkeys(ResponseIn.__annotations__, frozenset[str]()),
    "customer": frozenset(CustomerIn.__annotations__),
}
_PARTS: Final = {
    "annual_value": frozenset(AnnualValueIn.__annotations__),
    "consent": frozenset(ConsentIn.__annotations__),
}
_EXPECTED: Final = {
    "/score": "an integer such as 9, without quotes or decimals",
    "/customer": "an object",
    "/attributes": "an object of named values",
    "/customer/id": "a text",
    "/customer/annual_value": 'an object, as in {"amount": 1200, "currency": "EUR"}',
    "/customer/annual_value/amount": "a number",
    "/customer/consent": 'an object, as in {"follow_up": true, "news": false}',
    "/customer/consent/follow_up": "true or false",
    "/customer/consent/news": "true or false",
    "/customer/do_not_contact": "true or false",
    "/measurement": '"transactional", "periodic" or "unsolicited"',
    "/metric": '"nps", "csat" or "ces"',
    "/sentiment": '"negative", "neutral" or "positive"',
}


def understand(document: object, *, now: datetime) -> ReadResponse:
    """Return what a posted JSON value says; raise ``Invalid`` with every finding."""
    try:
        typed: Mapping[str, Any] = _check(document)
    except ValidationError as error:
        raise _invalid(document, error, now) from None
    return read_response(typed, now=now)


def _invalid(document: object, error: ValidationError, now: datetime) -> Invalid:
    if not isinstance(document, dict):
        return Invalid(
            "A response is a JSON object.",
            [
                Finding(
                    pointer="",
                    code="wrong_type",
                    detail="The document is no JSON object.",
                    fix='Send an object, as in {"external_id": "A-1", "score": 9}.',
                )
            ],
        )
    findings: dict[str, Finding] = {}
    spoilt: set[object] = set()
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        spoilt.add(problem["loc"][0])
        pointer = _pointer(problem["loc"])
        findings.setdefault(pointer, _wrong(pointer, problem["type"]))
    # The members that have the right type are judged as well: one answer names everything.
    rest = {name: value for name, value in document.items() if name not in spoilt}
    if "external_id" in spoilt:
        rest["external_id"] = "-"
    try:
        read_response(rest, now=now)
    except Invalid as more:
        for finding in more.findings:
            findings.setdefault(finding.pointer, finding)
    return Invalid("The response breaks rules; see errors.", list(findings.values()))


def _pointer(where: tuple[int | str, ...]) -> str:
    """Point at a member that the format knows; a name that the sender made up is not told."""
    known = _MEMBERS
    pointer = ""
    for name in where:
        if not isinstance(name, str) or name not in known:
            break
        pointer += f"/{name}"
        known = dict.fromkeys(
            _MEMBERS["customer"] if name == "customer" else _PARTS.get(name, ()), frozenset()
        )
    return pointer


def _wrong(pointer: str, kind: str) -> Finding:
    expected = _EXPECTED.get(pointer, "a text")
    name = pointer.rpartition("/")[2]
    if kind == "literal_error":
        return Finding(
            pointer=pointer,
            code="unknown_value",
            detail=f"{name} has a value that is none of the known ones.",
            fix=f"Send {expected}.",
        )
    return Finding(
        pointer=pointer,
        code="wrong_type",
        detail=f"{name} has the wrong type.",
        fix=f"Send {expected}.",
    )


class WarningOut(TypedDict):
    """Something that was kept although it is of no use."""

    pointer: str
    code: str


class AcceptedOut(TypedDict, total=False):
    """The answer to a posted response: it is durable now."""

    id: str
    status: Literal["accepted"]
    duplicate: bool
    revision: int
    status_url: str
    warnings: list[WarningOut]


class ResultOut(TypedDict, total=False):
    """What became of one item of a batch."""

    index: int
    line: int
    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    revision: int
    warnings: list[WarningOut]
    error: dict[str, Any]


class BatchOut(TypedDict):
    """The answer to a batch: one result for each item, in order."""

    accepted: int
    duplicates: int
    rejected: int
    results: list[ResultOut]


class ResponseOut(TypedDict):
    """Where a response stands."""

    id: str
    source: str
    external_id: Annotated[str | None, Field(description="null once the person was erased")]
    revision: int
    received_at: datetime
    answered_at: datetime
    metric: Literal["nps", "csat", "ces"]
    score: int | None
    category: (
        Literal["detractor", "passive", "promoter", "dissatisfied", "neutral", "satisfied"]
        | None
    )
    state: Literal["received", "no_action", "task_open", "closed"]
    reason: str | None
    task_id: str | None
    themes: list[str]


class ListOut(TypedDict):
    """A page of responses, the latest first."""

    data: list[ResponseOut]
    next_cursor: str | None
    has_more: bool


_SENT: Final = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class KeyIn(BaseModel):
    """A new API key."""

    model_config = _SENT

    source: Annotated[
        str, Field(min_length=1, max_length=100, description="the system that will use it")
    ]
    name: Annotated[str, Field(min_length=1, max_length=200, description="what it is for")]
    scopes: Annotated[
        list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=40)
    ]
    expires_at: Annotated[
        AwareDatetime | None, Field(strict=False, description="default: never")
    ] = None
    test: Annotated[
        bool, Field(description="what is posted with it opens no task and counts nowhere")
    ] = False


class RotateIn(BaseModel):
    """How long the key that is replaced goes on."""

    model_config = _SENT

    overlap_hours: Annotated[int, Field(ge=0, le=720)] = 24


class SourceIn(BaseModel):
    """The settings of a source; what is left out has its default again."""

    model_config = _SENT

    sender: Annotated[
        str | None, Field(max_length=40, description="a name of GET /v1/senders")
    ] = None
    mapping: Annotated[
        dict[str, Any] | None,
        Field(description="a mapping of its own, laid over the sender's; see docs/hooks.md"),
    ] = None
    namespace: Annotated[
        str | None,
        Field(min_length=1, max_length=100, description="where its customers' ids count"),
    ] = None
    silent_after_hours: Annotated[
        int | None,
        Field(ge=1, le=8_760, description="tell somebody when nothing came for so long"),
    ] = None


class SecretIn(BaseModel):
    """What signatures are checked with from now on."""

    model_config = _SENT

    secret: Annotated[
        str | None,
        Field(
            min_length=8,
            max_length=1_000,
            repr=False,
            description="the sender's own; left out, one is made and shown this once",
        ),
    ] = None
    former_until: Annotated[
        AwareDatetime | None,
        Field(strict=False, description="when the former ones end; default: once deleted"),
    ] = None


class TryIn(BaseModel):
    """What to try a mapping on."""

    model_config = _SENT

    payload: Annotated[Any, Field(repr=False, description="what the sender would send")] = None
    payload_id: Annotated[
        str | None, Field(max_length=40, description="or a sample that was kept")
    ] = None
    headers: Annotated[dict[str, str], Field(repr=False, max_length=50)] = {}
    query: Annotated[dict[str, str], Field(repr=False, max_length=50)] = {}
    sender: Annotated[
        str | None, Field(max_length=40, description="instead of the source's own")
    ] = None
    mapping: Annotated[
        dict[str, Any] | None, Field(description="instead of the source's own")
    ] = None


def schema_of(kind: type) -> dict[str, Any]:
    """Return the JSON schema of a wire type, whole in itself, for the OpenAPI document."""
    schema = TypeAdapter(kind).json_schema()
    definitions = schema.pop("$defs", {})

    def inlined(part: Any) -> Any:  # noqa: ANN401 - any part of a schema
        if isinstance(part, list):
            return [inlined(one) for one in part]
        if not isinstance(part, dict):
            return part
        if (target := part.get("$ref")) is not None:
            return inlined(definitions[target.rpartition("/")[2]])
        return {name: inlined(value) for name, value in part.items()}

    whole: dict[str, Any] = inlined(schema)
    return whole
