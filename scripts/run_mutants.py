"""Change one guarding line after the other and expect its test to fail.

The list is ``tests/mutants/list.yaml``. Everything happens in a copy of the checkout; a text of
the list that is not in its file exactly once is a failure as well, so that the list cannot age
unseen. A test counts only when it ran and failed: one that hangs, cannot start, or fails without
the mutant as well has noticed nothing. With arguments only those mutants run whose row, promise,
file or test holds one of them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from shared.clock import SystemClock

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests" / "mutants" / "list.yaml"
LIMIT = 120
"""Seconds that one test may take; the slowest of the list takes half of that."""
CLOCK = SystemClock()

SURVIVED, KILLED, HUNG, BROKEN, AGED = "SURVIVED", "killed", "HUNG", "BROKEN", "AGED"
_BAD = ("FAILED tests", "ERROR tests")


def copy_to(folder: Path) -> None:
    """Copy what git tracks, and lend the environment and the servers' files."""
    tracked = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - git as everywhere
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for name in (".venv", ".cache"):
        if (ROOT / name).exists():
            (folder / name).symlink_to(ROOT / name)


def run(folder: Path, tests: Sequence[str], *options: str) -> tuple[str, str]:
    """Run tests in the copy; return what that says of a mutant, and what pytest wrote."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": ""}  # noqa: TID251 - servers are named there
    running = subprocess.Popen(  # noqa: S603 - our own tests
        [*pytest, *options, *tests],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        wrote, _ = running.communicate(timeout=LIMIT * len(tests))
    except subprocess.TimeoutExpired:
        return HUNG, _ended(running)
    except BaseException:  # Ctrl-C reaches only us
        _ended(running)
        raise
    if running.returncode == 0:
        return SURVIVED, wrote
    failed = any(line.startswith("FAILED ") for line in wrote.splitlines())
    return KILLED if running.returncode == 1 and failed else BROKEN, wrote


def _ended(running: subprocess.Popen[str]) -> str:
    """End a test that hangs, its servers included: first by asking, as a person would."""
    for how in (signal.SIGINT, signal.SIGKILL):
        os.killpg(running.pid, how)
        try:
            return running.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            continue
    return ""


def verdict_on(folder: Path, mutant: dict[str, str]) -> str:
    """Apply one mutant; say what its test made of it."""
    path = folder / mutant["file"]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutant["before"], mutant["after"]), encoding="utf-8")
    try:
        verdict, wrote = run(folder, [mutant["test"]], "-x")
    finally:
        path.write_text(text, encoding="utf-8")
    if verdict in {HUNG, BROKEN}:
        print(wrote[-2000:], file=sys.stderr)
    return verdict


def failing_without(folder: Path, tests: Sequence[str]) -> set[str]:
    """Return the tests that fail without any mutant, and so cannot tell anything of one."""
    verdict, wrote = run(folder, tests) if tests else (SURVIVED, "")
    if verdict == SURVIVED:
        return set()
    marked = [line.split()[1] for line in wrote.splitlines() if line.startswith(_BAD)]
    failing = {
        test for test in tests if any(test.startswith(m) or m.startswith(test) for m in marked)
    }
    print(wrote[-4000:], "These fail without any mutant; mend them first:", sep="\n")
    print(*sorted(failing or tests), sep="\n", flush=True)
    return failing or set(tests)


def main(wanted: Sequence[str]) -> int:
    """Run the list; return 1 unless every mutant was killed."""
    began = CLOCK.monotonic()
    mutants = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    if wanted:
        mutants = [
            one
            for one in mutants
            if any(
                w in one[name] for w in wanted for name in ("row", "promise", "file", "test")
            )
        ]
    verdicts: Counter[str] = Counter()
    fresh = []
    for one in mutants:
        if (ROOT / one["file"]).read_text(encoding="utf-8").count(one["before"]) == 1:
            fresh.append(one)
            continue
        verdicts[AGED] += 1
        print(
            f"{AGED:9} {one['promise']}: the text under 'before' is not in {one['file']} exactly"
            " once; say in tests/mutants/list.yaml which line guards this now"
        )
    with tempfile.TemporaryDirectory(prefix="closed-loop-mutants-") as name:
        folder = Path(name)
        copy_to(folder)
        failing = failing_without(folder, sorted({one["test"] for one in fresh}))
        for one in fresh:
            since = CLOCK.monotonic()
            verdict = BROKEN if one["test"] in failing else verdict_on(folder, one)
            verdicts[verdict] += 1
            took = f"{CLOCK.monotonic() - since:4.0f} s"
            print(f"{verdict:9} {took}  {one['row']}: {one['promise']}", flush=True)
    others = ", ".join(
        f"{verdicts[each]} {each.lower()}" for each in (HUNG, BROKEN, AGED) if verdicts[each]
    )
    minutes, seconds = divmod(round(CLOCK.monotonic() - began), 60)
    print(
        f"{len(mutants)} mutants in {minutes} min {seconds} s: {verdicts[KILLED]} killed,"
        f" {verdicts[SURVIVED]} survived{others and ', '}{others}"
    )
    return 0 if verdicts[KILLED] == len(mutants) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
