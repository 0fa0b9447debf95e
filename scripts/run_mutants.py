"""Change one guarding line after the other and expect its test to fail.

The list is ``tests/mutants/list.yaml``. Everything happens in a copy of the checkout; a text of
the list that is not in its file exactly once is a failure as well, so that the list cannot age
unseen. With arguments only those mutants run whose promise, file or test holds one of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
LIST = ROOT / "tests" / "mutants" / "list.yaml"


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


def passes(folder: Path, tests: list[str]) -> bool:
    """Run tests in the copy; tell whether they all passed. One that hangs has not."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": ""}  # noqa: TID251 - servers are named there
    try:
        done = subprocess.run(  # noqa: S603 - our own tests
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    except subprocess.TimeoutExpired:
        return False
    if done.returncode not in {0, 1}:
        print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
        raise SystemExit(f"pytest ended with {done.returncode}")
    return done.returncode == 0


def killed(folder: Path, mutant: dict[str, str]) -> bool:
    """Apply one mutant; tell whether its test noticed."""
    path = folder / mutant["file"]
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(mutant["before"], mutant["after"]), encoding="utf-8")
    try:
        return not passes(folder, [mutant["test"]])
    finally:
        path.write_text(text, encoding="utf-8")


def main(wanted: list[str]) -> int:
    """Run the list; return 1 when a mutant survived or the list has aged."""
    mutants = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    if wanted:
        mutants = [
            one
            for one in mutants
            if any(w in one[name] for w in wanted for name in ("promise", "file", "test"))
        ]
    aged = [
        one["promise"]
        for one in mutants
        if (ROOT / one["file"]).read_text(encoding="utf-8").count(one["before"]) != 1
    ]
    for promise in aged:
        print(f"aged      {promise}")
    survived = 0
    with tempfile.TemporaryDirectory(prefix="closed-loop-mutants-") as name:
        folder = Path(name)
        copy_to(folder)
        if not passes(folder, sorted({one["test"] for one in mutants})):
            print("The tests fail without any mutant; mend them first.")
            return 1
        for one in mutants:
            if one["promise"] in aged:
                continue
            verdict = "killed" if killed(folder, one) else "SURVIVED"
            survived += verdict != "killed"
            print(f"{verdict:9} {one['property']:4} {one['promise']}", flush=True)
    print(f"{len(mutants)} mutants, {survived} survived, {len(aged)} aged")
    return 1 if survived or aged else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
