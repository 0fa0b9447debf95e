"""What every test has: the real servers, settings of hypothesis, nothing from outside."""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = ["tests.infra.fixtures", "tests.plumbing"]

# A failing example must fail again elsewhere, and a busy machine is no failure.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("here", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")
