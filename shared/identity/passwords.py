"""Passwords of staff: argon2id in threads of their own, and the same time for every answer.

One hash takes 64 MiB and a good third of a second on purpose; two threads bound what an
onslaught of sign-ins can take, and the event loop never waits.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from shared.errors import Finding, Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

A = TypeVarTuple("A")
T = TypeVar("T")

SHORTEST = 12
LONGEST = 200

_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")


@cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@cache
def _nobody() -> str:
    """Return the hash that a sign-in without an account is checked against."""
    return _hasher().hash("nobody signs in with this")


def check_password(password: str, *, pointer: str = "/password") -> None:
    """Raise ``Invalid`` unless a new password is long enough; nothing else is asked of it."""
    if not SHORTEST <= len(password) <= LONGEST or "\x00" in password:
        raise Invalid(
            f"A password needs {SHORTEST} to {LONGEST} characters.",
            [
                Finding(
                    pointer=pointer,
                    code="password_length",
                    detail="too short or too long",
                    fix=f"choose {SHORTEST} to {LONGEST} characters; a few words will do",
                )
            ],
        )


async def hash_password(password: str) -> str:
    """Return what is stored instead of the password."""
    return await _in_thread(_hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Tell whether the password fits; takes as long when there is no account to fit."""
    return await _in_thread(_verify, password[: LONGEST + 1], password_hash)


def _hash(password: str) -> str:
    return _hasher().hash(password)


def _verify(password: str, password_hash: str | None) -> bool:
    fits = _hasher().verify(password, password_hash or _nobody())
    return fits and password_hash is not None


async def _in_thread(work: Callable[[*A], T], *arguments: *A) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
