"""``closed-loop bench``: every row in alternating runs, one table at the end.

A figure is the median of its runs; the ratio is that of the medians, and its spread goes from
the worst to the best pair of neighbouring runs: on a busy machine it is wide, and says so.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.bench.parts import NotMeasured
from services.bench.rows import ROWS, Sizes
from services.commands.output import data_json, rows, say
from shared.errors import NotFound
from shared.logs import set_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.bench.rows import Row


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out of one row; ``why_not`` when it could not be measured."""

    row: Row
    ours: Sequence[float] = ()
    baseline: Sequence[float] = ()
    why_not: str | None = None

    @property
    def ratio(self) -> float:
        """Return the ratio of the medians."""
        return statistics.median(self.ours) / statistics.median(self.baseline)

    @property
    def spread(self) -> tuple[float, float]:
        """Return the lowest and the highest ratio of two runs that followed each other."""
        pairs = [a / b for a, b in zip(self.ours, self.baseline, strict=True)]
        return min(pairs), max(pairs)

    def document(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        about = {"row": self.row.name, "title": self.row.title, "unit": self.row.unit}
        if self.why_not is not None:
            return {**about, "not_measured": self.why_not}
        low, high = self.spread
        return {
            **about,
            "ours": round(statistics.median(self.ours), 1),
            "baseline": round(statistics.median(self.baseline), 1),
            "ratio": round(self.ratio, 3),
            "rounds": len(self.ours),
            "spread": [round(low, 3), round(high, 3)],
        }

    def line(self) -> tuple[object, ...]:
        """Return the row as the table has it."""
        if self.why_not is not None:
            return (self.row.name, "", "", "", "", "", f"not measured: {self.why_not}")
        low, high = self.spread
        return (
            self.row.name,
            f"{statistics.median(self.ours):,.0f} {self.row.unit}",
            f"{statistics.median(self.baseline):,.0f}",
            f"{self.ratio:.2f}",
            len(self.ours),
            f"{low:.2f}–{high:.2f}",  # noqa: RUF001 - a span
            self.row.title,
        )


async def bench(
    *, only: str | None, rounds: int, as_json: bool, sizes: Sizes | None = None
) -> int:
    """Measure the rows whose name holds ``only``, or all of them, and print the ratios.

    Raises ``NotFound`` when there is no such row.
    """
    wanted = [row for row in ROWS if only is None or only in row.name]
    if not wanted:
        names = ", ".join(row.name for row in ROWS)
        raise NotFound(f"No row has {only!r} in its name. The rows are: {names}.")
    set_up(form="json", level="warning")
    results = [await measure(row, rounds=rounds, sizes=sizes or Sizes()) for row in wanted]
    if as_json:
        data_json([result.document() for result in results])
    else:
        columns = ("row", "ours", "baseline", "ratio", "rounds", "spread", "what")
        rows(columns, [result.line() for result in results], as_json=False)
    return 0


async def measure(row: Row, *, rounds: int, sizes: Sizes) -> Result:
    """Run both sides of a row in turn; the first run of each only warms up."""
    ours: list[float] = []
    baseline: list[float] = []
    try:
        async with row.open(sizes) as sides:
            for number in range(rounds + 1):
                say(f"{row.name}: {f'round {number} of {rounds}' if number else 'warming up'}")
                ours.append(await sides.ours())
                baseline.append(await sides.baseline())
    except NotMeasured as reason:
        return Result(row=row, why_not=str(reason))
    return Result(row=row, ours=ours[1:], baseline=baseline[1:])
