"""Which column is which member, guessed from headings and values, with how sure that is.

A guess is high when heading and values agree, medium when one of them speaks and the other does
not object, low when they contradict each other or something else fits as well. Whoever imports
sees every guess; a low one of a decisive member is never used without somebody's consent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.ingest.domain.columns import (
    PEOPLE,
    Column,
    date_candidates,
    is_dull,
    is_somebody,
    is_varied,
)
from services.ingest.domain.dates import DateShape
from services.ingest.domain.guesses import Confidence, Guess, Guesses
from services.ingest.domain.headings import CURRENCY, FIRST_NAME, LAST_NAME
from services.ingest.domain.rating import Rating, may_be_score, rate

DECISIVE: Final = frozenset({"external_id", "score", "metric", "answered_at"})
_TEXTS: Final = (
    "touchpoint", "segment", "product", "channel", "language", "reason", "transaction_id",
)  # fmt: skip
_PERMISSIONS: Final = ("customer.consent.follow_up", "customer.do_not_contact")
_FROM_STRENGTH: Final[Mapping[int, Confidence]] = {3: "high", 2: "medium", 1: "low"}
_LESS: Final[Mapping[Confidence, Confidence]] = {
    "high": "medium",
    "medium": "low",
    "low": "low",
}


def guess(
    columns: Sequence[Column], dates: Mapping[str, DateShape], *, repeated: int = 0
) -> Guesses:
    """Return the whole mapping; ``dates`` is what whole columns say of their dates.

    ``repeated`` is how many rows of the sample are equal to one further above.
    """
    if any(column.name == "external_id" for column in columns):
        return _our_own(columns, dates)
    guessing = _Guessing(columns, dates, repeated)
    guessing.score()
    guessing.moment()
    guessing.external_id()
    guessing.comment()
    guessing.customer()
    guessing.texts()
    return guessing.result()


@dataclass
class _Guessing:
    """The columns that are left, and the guesses so far."""

    columns: Sequence[Column]
    dates: Mapping[str, DateShape]
    repeated: int
    taken: list[Guess] = field(default_factory=list)
    suggested: list[Guess] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    scored: Column | None = None

    def left(self) -> list[Column]:
        """Return the columns that are nothing yet, empty and dull ones left out."""
        return [
            column
            for column in self.columns
            if column.index not in self.used and column.profile.filled and not is_dull(column)
        ]

    def take(self, member: str, column: Column, confidence: Confidence, **rest: Any) -> None:  # noqa: ANN401 - parts of a rule
        """Use a column, or only suggest it where that is too unsure."""
        note = rest.pop("note", "")
        rule = {"column": column.name, **rest}
        one = Guess(member=member, rule=rule, confidence=confidence, note=note)
        if confidence == "low" and member not in DECISIVE:
            self.suggested.append(one)
        else:
            self.taken.append(one)
        self.used.add(column.index)

    def best(
        self, member: str, columns: Iterable[Column], *, words: float = 0
    ) -> Column | None:
        """Return the column whose name says most clearly that it is the member.

        Of columns that are named alike, one with so many ``words`` to a value comes first.
        """
        named = [column for column in columns if column.strength(member)]
        return max(
            named,
            key=lambda each: (
                each.strength(member),
                each.profile.words >= words,
                each.profile.filled,
                -each.index,
            ),
            default=None,
        )

    def score(self) -> None:
        """Find the score, and with it the metric."""
        rated: list[tuple[int, int, Column, Rating]] = []
        for column in self.left():
            found = rate(column.headings, column.profile)
            if found is not None and not self._is_other(column, found.points):
                rated.append((found.points, -column.index, column, found))
        rated.sort(key=lambda each: each[:2], reverse=True)
        if not rated:
            return
        points, _, column, rating = rated[0]
        rivals = [other.name for also, _, other, _ in rated[1:] if also == points]
        confidence: Confidence = "low" if rivals else rating.confidence
        note = f"“{rivals[0]}” fits as well" if rivals else rating.note
        self.scored = column
        self.take("score", column, confidence, note=note, **rating.rule)
        self.taken.append(
            Guess(
                member="metric",
                rule={"value": rating.metric},
                confidence=confidence,
                note=rating.why_metric,
            )
        )

    @staticmethod
    def _is_other(column: Column, points: int) -> bool:
        """Tell whether a column of small numbers has a name for something else."""
        others = ("external_id", "customer.id", "transaction_id", "comment", "segment")
        return points < 30 and any(column.strength(member) == 3 for member in others)

    def moment(self) -> None:
        """Find when somebody answered."""
        found = date_candidates(self.left())
        if not found:
            return
        column = found[0]
        shape = self.dates.get(column.name, column.profile.dates)
        strength = column.strength("answered_at")
        confidence: Confidence = "high" if strength >= 2 else "medium"
        note = ""
        if strength == 0 and len(found) > 1:
            confidence, note = "low", f"“{found[1].name}” fits as well"
        if shape.short_years:
            note = "years of two digits: 69 to 99 are the last century's"
        confidence, note = _doubted(shape, confidence, note)
        rule: dict[str, Any] = {"type": "date", "formats": list(shape.formats)}
        if not shape.formats:
            del rule["formats"]
        if shape.in_utc or column.zone:
            rule["time_zone"] = "UTC" if shape.in_utc else column.zone
        if column.profile.nothing:
            rule["empty"] = list(column.profile.nothing)
        self.take("answered_at", column, confidence, note=note, **rule)

    def external_id(self) -> None:
        """Find what identifies an answer; else make it from the whole row."""
        left = [column for column in self.left() if column.profile.is_full]
        named = [
            c
            for c in self.left()
            if c.strength("external_id") == 3 and c.profile.filled >= 0.9 * c.profile.rows
        ] or [
            c
            for c in left
            if c.strength("external_id") and c.profile.is_unique and not is_somebody(c)
        ]
        column = self.best("external_id", named)
        if column is None:
            column = next(
                (c for c in left if "respondent id" in c.headings and c.profile.is_unique), None
            )
            if column is not None:
                note = "no other column identifies an answer"
                self.take("external_id", column, "medium", note=note)
                return
        if column is None:
            self._digest()
        elif column.profile.is_unique and not column.profile.is_full:
            note = "rows without one are rejected"
            self.take("external_id", column, "medium", note=note)
        elif column.profile.is_unique:
            strong = column.strength("external_id") >= 2
            self.take("external_id", column, "high" if strong else "medium")
        else:
            note = "its values repeat: rows of one id would become one response"
            self.take("external_id", column, "low", note=note)

    def _digest(self) -> None:
        """Make the id of what the row says; a doubt where different people said the same."""
        names = [each.name for each in self.columns if each.profile.filled]
        note = "no column identifies an answer: two equal rows are one"
        confidence: Confidence = "medium"
        if self.repeated * 50 > max((each.profile.rows for each in self.columns), default=0):
            confidence = "low"
            note += (
                f", and {self.repeated} of the first rows repeat others; number them in a"
                " column “id” if each is an answer of its own"
            )
        rule = {"digest_of": names}
        self.taken.append(
            Guess(member="external_id", rule=rule, confidence=confidence, note=note)
        )

    def comment(self) -> None:
        """Find the customer's words, by a heading or by long texts."""
        left = [
            column
            for column in self.left()
            if column.profile.whole < 0.5
            and column.profile.emails < 0.5
            and column.profile.dates.share < 0.5
            and not is_somebody(column)
        ]
        column = self.best("comment", left, words=3)
        if column is not None:
            strength = column.strength("comment")
            wordy = column.profile.words >= 3
            confidence: Confidence = "high" if strength >= 2 else "medium"
            if strength == 1 and not wordy:
                confidence = "low"
        else:
            column = max(left, key=lambda each: each.profile.words, default=None)
            if column is None or column.profile.words < 5 or not is_varied(column):
                return
            confidence = "medium"
        rest = [
            c.name for c in left if c is not column and c.profile.words >= 5 and is_varied(c)
        ]
        note = f"“{rest[0]}” holds words too and is not taken" if rest else ""
        if column.strength("comment") == 0:
            note = note or "by its long texts alone"
        self.take("comment", column, confidence, type="verbatim", note=note)

    def customer(self) -> None:
        """Find who answered."""
        left = self.left()
        by_shape = [column for column in left if column.profile.emails >= 0.8]
        column = self.best("customer.email", by_shape) or next(iter(by_shape), None)
        if column is not None:
            named = column.strength("customer.email") > 0
            note = "" if named else "by the shape of its values alone"
            self.take("customer.email", column, "high" if named else "medium", note=note)
        self._name_in_two()
        for member in PEOPLE:
            self._by_name(member)
        for member in _PERMISSIONS:
            column = self.best(member, [c for c in self.left() if c.profile.yes_no is not None])
            if column is not None and column.strength(member) >= 2:
                words = column.profile.yes_no
                self.take(member, column, "medium", map=words, note="says yes or no")
        self._annual_value()

    def _name_in_two(self) -> None:
        first, last = (
            next((c for c in self.left() if names.strength(c.headings[0]) == 3), None)
            for names in (FIRST_NAME, LAST_NAME)
        )
        if first is not None and last is not None and first is not last:
            rule = {"columns": [first.name, last.name]}
            self.taken.append(Guess(member="customer.name", rule=rule, confidence="high"))
            self.used |= {first.index, last.index}

    def _by_name(self, member: str) -> None:
        if any(one.member == member for one in self.taken):
            return
        column = self.best(member, [c for c in self.left() if c.strength(member) >= 2])
        if column is not None:
            self.take(member, column, _FROM_STRENGTH[column.strength(member)])

    def _annual_value(self) -> None:
        member = "customer.annual_value.amount"
        column = self.best(member, [c for c in self.left() if c.profile.amounts is not None])
        if column is None or (amounts := column.profile.amounts) is None:
            return
        codes = {"eur", "usd", "gbp", "dkk", "pln", "czk", "chf", "sek", "nok"}
        named = next((w.upper() for w in column.headings[0].split() if w in codes), None)
        currency = next((c for c in self.left() if CURRENCY.strength(c.headings[0]) == 3), None)
        if not amounts.bare or (named is None and currency is None):
            return
        note = f"“{amounts.decimal}” is the decimal mark"
        self.take(member, column, "medium", type="number", decimal=amounts.decimal, note=note)
        member = "customer.annual_value.currency"
        if currency is not None:
            self.take(member, currency, "high")
        else:
            where = {"where": {column.name: [""]}, "value": None}
            self.taken.append(Guess(member=member, rule=where, confidence="high"))
            rule = {"value": named}
            self.taken.append(Guess(member=member, rule=rule, confidence="high"))

    def texts(self) -> None:
        """Find what the answer was about."""
        for member in _TEXTS:
            column = self.best(member, [c for c in self.left() if c.profile.dates.share < 0.5])
            if column is None:
                continue
            confidence = _FROM_STRENGTH[column.strength(member)]
            many = column.profile.distinct > max(30, column.profile.filled / 2)
            if member != "transaction_id" and (many or column.profile.words > 6):
                confidence = _LESS[confidence]
            if member == "language" and column.profile.codes < 0.5:
                confidence = _LESS[confidence]
            self.take(member, column, confidence)

    def result(self) -> Guesses:
        """Return everything, with what is assumed where a member has no column."""
        members = {one.member for one in self.taken}
        if "comment" in members and (self.scored is None or self._has_gaps(self.scored)):
            self._unscored()
        unused = tuple(column.name for column in self.columns if column.index not in self.used)
        order = {member: n for n, member in enumerate(("external_id", "metric", "score"))}
        self.taken.sort(key=lambda one: order.get(one.member, 9))
        return Guesses(taken=tuple(self.taken), suggested=tuple(self.suggested), unused=unused)

    @staticmethod
    def _has_gaps(column: Column) -> bool:
        return column.profile.filled < column.profile.rows

    def _unscored(self) -> None:
        """Rows without a score are feedback that nobody asked for."""
        rule: dict[str, Any] = {"value": "unsolicited"}
        note = "there is no score: comments that nobody asked for"
        confidence: Confidence = "medium"
        rivals = [c.name for c in self.left() if may_be_score(c.profile)]
        if self.scored is None and rivals:
            confidence, note = "low", f"“{rivals[0]}” may be a score"
        if self.scored is not None:
            rule["where"] = {self.scored.name: ["", *self.scored.profile.nothing]}
            note = "rows without a score are comments that nobody asked for"
        self.taken.append(
            Guess(member="measurement", rule=rule, confidence=confidence, note=note)
        )


def _doubted(shape: DateShape, confidence: Confidence, note: str) -> tuple[Confidence, str]:
    """Lower the confidence where a date could be read in two ways, or not at all."""
    match shape.order:
        case "unknown":
            return "low", "03/04 may be 3 April or 4 March: no row tells which"
        case "both":
            return "low", "some rows write the day first, others the month"
        case _ if shape.share < 0.9:
            return "low", f"only {shape.share:.0%} of its values can be read as dates"
        case _:
            return confidence, note


def _our_own(columns: Sequence[Column], dates: Mapping[str, DateShape]) -> Guesses:
    """Columns named like the members of a posted response: each is what it says."""
    taken = []
    for column in columns:
        rule: dict[str, Any] = {"column": column.name}
        confidence: Confidence = "high"
        note = ""
        match column.name:
            case "score":
                rule["type"] = "integer"
            case "comment":
                rule["type"] = "verbatim"
            case "customer.annual_value.amount":
                rule["type"] = "number"
            case "answered_at":
                rule["type"] = "date"
                shape = dates.get(column.name, column.profile.dates)
                if shape.formats and not all(f.startswith("%Y-%m-%d") for f in shape.formats):
                    rule["formats"] = list(shape.formats)
                    confidence, note = _doubted(shape, confidence, note)
            case name if name in _PERMISSIONS or name == "customer.consent.news":
                rule["type"] = "boolean"
            case _:
                pass
        taken.append(Guess(member=column.name, rule=rule, confidence=confidence, note=note))
    return Guesses(taken=tuple(taken))
