"""What is guessed of a file's columns: each guess with how sure it is and what it assumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Confidence = Literal["high", "medium", "low"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A member, the rule that fills it, how sure that is, and what was assumed."""

    member: str
    rule: Mapping[str, Any]
    confidence: Confidence
    note: str = ""

    @property
    def origin(self) -> str:
        """Return where the value comes from, for people."""
        if (column := self.rule.get("column")) is not None:
            return str(column)
        if (columns := self.rule.get("columns")) is not None:
            return " + ".join(columns)
        return "the whole row" if "digest_of" in self.rule else f"always {self.rule['value']}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """The mapping as guessed; ``suggested`` are too unsure to be used unasked."""

    taken: tuple[Guess, ...]
    suggested: tuple[Guess, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, list[dict[str, Any]]]:
        """Return the members as a mapping file has them."""
        fields: dict[str, list[dict[str, Any]]] = {}
        for guess in self.taken:
            fields.setdefault(guess.member, []).append(dict(guess.rule))
        return fields

    @property
    def doubts(self) -> list[Guess]:
        """Return the guesses that somebody must look at first."""
        return [guess for guess in self.taken if guess.confidence == "low"]
