"""A disk that forgets: what SQLite has written and not synced is lost with the process.

``python -m tests.faults.forgetful serve`` is ``closed-loop serve`` on such a disk. A VFS is put
in front of SQLite's own one, in the very library that the interpreter's ``sqlite3`` uses, so
that it is our engine with its pragmas and statements that runs on it. Writes to the database
and its log stay in this process until ``xSync``; ``kill -9`` then does what a power cut does.
``CLOSED_LOOP_TEST_EARLY`` is the part of unsynced writes that reach the disk all the same, in
any order, as those of a real disk may.

It shows that what was answered had been synced. It does not show that the disk itself keeps
what it synced, nor that the names of new files survive: folders are the real ones.
"""

from __future__ import annotations

import ctypes
import os
import random
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

EARLY = "CLOSED_LOOP_TEST_EARLY"
OK, IO_ERROR, SHORT_READ = 0, 10, 522
MAIN_DB, MAIN_JOURNAL, WAL = 0x100, 0x800, 0x80000

_Pointer = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(
    ctypes.c_int, _Pointer, _Pointer, _Pointer, ctypes.c_int, ctypes.POINTER(ctypes.c_int)
)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_char_p, ctypes.c_int)
_CLOSE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer)
_READ = ctypes.CFUNCTYPE(
    ctypes.c_int, _Pointer, _Pointer, ctypes.c_int, ctypes.c_int64
)  # and write
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.c_int)
_SIZE = ctypes.CFUNCTYPE(ctypes.c_int, _Pointer, ctypes.POINTER(ctypes.c_int64))


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``; what is not replaced is copied as it is."""

    _fields_: ClassVar[Any] = [
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", _Pointer),
        ("zName", ctypes.c_char_p),
        ("pAppData", _Pointer),
        ("xOpen", _Pointer),
        ("xDelete", _Pointer),
        ("others", _Pointer * 14),
    ]


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods`` of version 2: without memory maps."""

    _fields_: ClassVar[Any] = [
        ("iVersion", ctypes.c_int),
        ("xClose", _Pointer),
        ("xRead", _Pointer),
        ("xWrite", _Pointer),
        ("xTruncate", _Pointer),
        ("xSync", _Pointer),
        ("xFileSize", _Pointer),
        ("others", _Pointer * 10),
    ]


class Image:
    """One file as this process sees it, and what of it has not been synced."""

    def __init__(self, path: str, early: float) -> None:
        # Never closed: closing would drop this process's locks on the file.
        self._real = os.open(path, os.O_RDWR)
        self.content = bytearray(os.pread(self._real, os.fstat(self._real).st_size, 0))
        self._unsynced: list[tuple[int, bytes | None]] = []
        self._early = early
        self._lot = random.Random()

    def write(self, data: bytes, offset: int) -> None:
        """Change what this process sees."""
        if len(self.content) < offset:
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset : offset + len(data)] = data
        self._note(offset, data)

    def truncate(self, size: int) -> None:
        """Cut off what this process sees."""
        del self.content[size:]
        self._note(size, None)

    def _note(self, offset: int, data: bytes | None) -> None:
        self._unsynced.append((offset, data))
        if self._lot.random() < self._early:
            self._reach_disk(offset, data)

    def sync(self) -> None:
        """Make the disk hold what this process sees."""
        for offset, data in self._unsynced:
            self._reach_disk(offset, data)
        self._unsynced.clear()

    def _reach_disk(self, offset: int, data: bytes | None) -> None:
        if data is None:
            os.ftruncate(self._real, offset)
        else:
            os.pwrite(self._real, data, offset)


_INSTALLED: list[ForgetfulDisk] = []
"""Held for the life of the process: C knows its functions."""


class ForgetfulDisk:
    """Puts itself in front of SQLite's default VFS; there is one a process."""

    def __init__(self, early: float = 0.0) -> None:
        self._early = early
        self._library = _library()
        self._images: dict[str, Image] = {}
        self._open: dict[int, Image] = {}
        self._lock = threading.Lock()
        self._kept: list[Any] = []  # what C points to must not be collected

    def install(self) -> None:
        """Have every connection that is opened from now on use this disk."""
        find = self._library.sqlite3_vfs_find
        find.restype, find.argtypes = ctypes.POINTER(_Vfs), [ctypes.c_char_p]
        self._real = find(None)
        real = self._real.contents
        vfs = _Vfs()
        ctypes.memmove(ctypes.byref(vfs), self._real, ctypes.sizeof(_Vfs))
        vfs.zName, vfs.pNext = b"forgetful", None
        self._real_open = _OPEN(real.xOpen)
        self._real_delete = _DELETE(real.xDelete)
        vfs.xOpen = self._callback(_OPEN, self._on_open)
        vfs.xDelete = self._callback(_DELETE, self._on_delete)
        self._kept.append(vfs)
        assert self._library.sqlite3_vfs_register(ctypes.byref(vfs), 1) == OK
        _INSTALLED.append(self)

    def _callback(self, kind: Any, work: Callable[..., int]) -> int | None:
        def safely(*given: Any) -> int:
            try:
                with self._lock:
                    return work(*given)
            except Exception as error:  # noqa: BLE001 - no exception may reach C
                print("forgetful disk:", repr(error), file=sys.stderr, flush=True)
                return IO_ERROR

        function = kind(safely)
        self._kept.append(function)
        return ctypes.cast(function, _Pointer).value

    def _on_open(self, _: int, name: int | None, file: int, flags: int, out: Any) -> int:
        real = ctypes.cast(self._real, _Pointer)
        result = self._real_open(real, name, file, flags, out)
        if result != OK or name is None or not flags & (MAIN_DB | MAIN_JOURNAL | WAL):
            return int(result)
        path = ctypes.string_at(name).decode()
        image = self._images.get(path)
        if image is None:
            image = self._images[path] = Image(path, self._early)
        self._open[file] = image
        self._take_over(file)
        return OK

    def _take_over(self, file: int) -> None:
        """Replace the methods of an open file by ours; locks and shared memory stay real."""
        slot = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_Methods)))
        theirs = slot.contents.contents
        ours = _Methods()
        ctypes.memmove(ctypes.byref(ours), ctypes.byref(theirs), ctypes.sizeof(_Methods))
        ours.iVersion = min(theirs.iVersion, 2)
        close = _CLOSE(theirs.xClose)

        def on_close(which: int) -> int:
            del self._open[which]
            return int(close(which))

        ours.xClose = self._callback(_CLOSE, on_close)
        ours.xRead = self._callback(_READ, self._on_read)
        ours.xWrite = self._callback(_READ, self._on_write)
        ours.xTruncate = self._callback(_TRUNCATE, self._on_truncate)
        ours.xSync = self._callback(_SYNC, self._on_sync)
        ours.xFileSize = self._callback(_SIZE, self._on_size)
        self._kept.append(ours)
        slot[0] = ctypes.pointer(ours)

    def _on_delete(self, _: int, name: bytes, sync_folder: int) -> int:
        self._images.pop(name.decode(), None)
        real = ctypes.cast(self._real, _Pointer)
        return int(self._real_delete(real, name, sync_folder))

    def _on_read(self, file: int, buffer: int, amount: int, offset: int) -> int:
        found = bytes(self._open[file].content[offset : offset + amount])
        ctypes.memmove(buffer, found.ljust(amount, b"\0"), amount)
        return OK if len(found) == amount else SHORT_READ

    def _on_write(self, file: int, buffer: int, amount: int, offset: int) -> int:
        self._open[file].write(ctypes.string_at(buffer, amount), offset)
        return OK

    def _on_truncate(self, file: int, size: int) -> int:
        self._open[file].truncate(size)
        return OK

    def _on_sync(self, file: int, _flags: int) -> int:
        self._open[file].sync()
        return OK

    def _on_size(self, file: int, size: Any) -> int:
        size[0] = len(self._open[file].content)
        return OK


def _library() -> ctypes.CDLL:
    """Return the library that ``sqlite3`` of this interpreter is linked with."""
    assert sqlite3.sqlite_version
    if (path := library_path()) is None:
        message = "the interpreter's SQLite is no shared library: nothing can be put before it"
        raise RuntimeError(message)
    return ctypes.CDLL(path)


def library_path() -> str | None:
    """Return where that library lies; None when it is built into the interpreter."""
    maps = Path("/proc/self/maps")
    for line in maps.read_text(encoding="utf-8").splitlines() if maps.exists() else ():
        path = line.rpartition(" ")[2]
        if "libsqlite3" in path:
            return path
    return None


def main() -> None:
    """Be ``closed-loop`` on a disk that forgets."""
    ForgetfulDisk(float(os.environ.get(EARLY, "0"))).install()
    from services.cli import main as closed_loop

    closed_loop()


if __name__ == "__main__":
    main()
