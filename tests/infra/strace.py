"""Is there an strace that may look at our own children?"""

from __future__ import annotations

import shutil
import subprocess


def missing() -> str | None:
    """Return why there is none, or None."""
    if shutil.which("strace") is None:
        return "no strace: install it to see the order of system calls"
    tried = subprocess.run(
        ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False, timeout=20
    )
    return None if tried.returncode == 0 else "strace may not trace here (ptrace is forbidden)"
