"""What ingest publishes: responses as they were accepted."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field
from typing_extensions import override

from shared.events import topics
from shared.events.envelope import Event

Metric = Literal["nps", "csat", "ces"]
Measurement = Literal["transactional", "periodic", "unsolicited"]
Sentiment = Literal["negative", "neutral", "positive"]


class _Response(Event):
    """The members that a new response and a revised one share; key = ``person_ref``."""

    TOPIC: ClassVar[str] = topics.RESPONSES
    OWNER: ClassVar[str] = "ingest"

    response_id: str
    revision: int = Field(ge=1)
    source: str
    measurement: Measurement
    metric: Metric
    score: int | None
    sentiment: Sentiment | None = None
    language: str | None = None
    touchpoint: str | None = None
    segment: str | None = None
    product: str | None = None
    channel: str | None = None
    reason: str | None = None
    emotion: str | None = None
    question_version: str | None = None
    answered_at: AwareDatetime
    received_at: AwareDatetime
    as_new: bool = Field(
        default=False, description="an import that treats old answers as if given today"
    )
    test: bool = Field(
        default=False, description="posted with a test key: counts nowhere and opens nothing"
    )
    import_id: str | None = Field(
        default=None,
        description="the import it came with; each owner gets one mail about it",
    )
    person_ref: str = Field(description="pseudonym of the person, or the response's own id")
    has_comment: bool = False
    person: str | None = Field(
        default=None,
        description="sealed: external_id and transaction_id, customer block, comment and"
        " attributes; unreadable once erased",
    )

    @override
    def subject(self) -> str:
        """Return the response's id."""
        return self.response_id


class ResponseReceived(_Response):
    """A source posted a response for the first time under its natural key."""

    TYPE: ClassVar[str] = "response.received.v1"


class ResponseRevised(_Response):
    """A source posted another meaning under a known natural key; this is the winner now."""

    TYPE: ClassVar[str] = "response.revised.v1"


class ResponseRemoved(Event):
    """A sample response is taken away: whoever kept anything of it forgets all of it.

    Key = ``person_ref``, so that it comes after what was said of the response before.
    """

    TYPE: ClassVar[str] = "response.removed.v1"
    TOPIC: ClassVar[str] = topics.RESPONSES
    OWNER: ClassVar[str] = "ingest"

    response_id: str
    person_ref: str

    @override
    def subject(self) -> str:
        """Return the response's id."""
        return self.response_id


class _Source(Event):
    """What both events of a source carry; key = the source's name."""

    TOPIC: ClassVar[str] = topics.ALERTS
    OWNER: ClassVar[str] = "ingest"

    source: str
    silent_since: AwareDatetime = Field(
        description="its last response; where there was none, when the limit was set"
    )

    @override
    def subject(self) -> str:
        """Return the source's name."""
        return self.source


class SourceSilent(_Source):
    """A source has delivered nothing for longer than it may; told once a silence."""

    TYPE: ClassVar[str] = "source.silent.v1"

    silent_after_hours: int
    last_response_at: AwareDatetime | None = None


class SourceResumed(_Source):
    """A source that was silent delivers again."""

    TYPE: ClassVar[str] = "source.resumed.v1"

    last_response_at: AwareDatetime


Erasing = Literal["request", "retention"]
MOST_RESPONSES = 200
"""So many responses one event about a customer names; of more there are several events."""


class _Customer(Event):
    """What both events of a customer carry; key = ``person_ref``, so after their responses."""

    TOPIC: ClassVar[str] = topics.RESPONSES
    OWNER: ClassVar[str] = "ingest"

    request_id: str = Field(description="what it is done for; its certificate counts what was")
    person_ref: str = Field(description="pseudonym of the person, or a lone response's own id")
    response_ids: list[str] = Field(default=[], max_length=MOST_RESPONSES)
    last: bool = Field(
        default=True, description="false: another event names more of their responses"
    )

    @override
    def subject(self) -> str:
        """Return the pseudonym of the person."""
        return self.person_ref


class CustomerErased(_Customer):
    """A customer was forgotten, or what they said in some responses was.

    Whoever keeps anything of it forgets it too; scores, times, touchpoints and themes stay.
    """

    TYPE: ClassVar[str] = "customer.erased.v1"

    reason: Erasing
    whole: bool = Field(
        description="true: the person, with all there is; false: these responses alone"
    )
    erased_at: AwareDatetime


class CustomerExportRequested(_Customer):
    """Somebody asked for a copy of all that is known about a customer."""

    TYPE: ClassVar[str] = "customer.export-requested.v1"
