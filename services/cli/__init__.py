"""The command line: how each command is called. What it does stands in ``services/commands``.

Data go to standard output, talk goes to standard error. Exit codes: 0 ok, 1 failed, 2 usage,
3 not found, 4 refused, 75 try later.
"""

from __future__ import annotations

from services.cli.program import app, main

__all__ = ["app", "main"]
