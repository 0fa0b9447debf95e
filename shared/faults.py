"""Named points at which a test may kill the process.

``CLOSED_LOOP_TEST_FAULT=name:n`` makes the n-th arrival at that point end the process at once,
as ``kill -9`` would. Without it a call costs one comparison.
"""

from __future__ import annotations

import os

_armed = os.environ.get("CLOSED_LOOP_TEST_FAULT", "")  # read once: the hot path must not pay
_name, _, _count = _armed.partition(":")
_left = int(_count or "1") if _name else 0


def fault_point(name: str) -> None:
    """Die here if a test asked for it; the name stands in the table of crash points."""
    global _left  # noqa: PLW0603 - counts the arrivals of one process
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os._exit(137)
