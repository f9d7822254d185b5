# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of one upload, on disk instead of in memory, where the child that runs the script can look them up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from . import launcher

UNKNOWN = "unknown"
ABSENT = launcher.ABSENT
PRESENT = "present"
PROVEN = launcher.PROVEN
DIFFERS = "differs"
UPLOADED = launcher.UPLOADED
DELETED = launcher.DELETED

_SCHEMA = """
    PRAGMA synchronous = OFF;
    CREATE TABLE files (
        path TEXT PRIMARY KEY, media INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        inode TEXT NOT NULL, state TEXT NOT NULL
    ) WITHOUT ROWID;
"""
_BATCH = 1000


class PlannedFile(NamedTuple):
    """A file as it was when it was listed. The inode is text: some file systems use all 64 bits of it."""

    path: str
    media: int
    size: int
    mtime_ns: int
    inode: str


class Total(NamedTuple):
    media: int
    files: int
    size: int


class Plan:
    """Created anew for each run, so that files left by a crash do not matter and nothing needs fsync."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Plan:
        self._remove()
        self._database = sqlite3.connect(str(self.path), isolation_level=None)
        self._database.executescript(_SCHEMA)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.close()
        self._remove()

    def _remove(self) -> None:
        for path in (self.path, self.path.with_name(f"{self.path.name}-journal")):
            path.unlink(missing_ok=True)

    def add(self, files: Iterable[PlannedFile]) -> None:
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", ((*file, UNKNOWN) for file in files)
            )

    def clear(self) -> None:
        self._database.execute("DELETE FROM files")

    def set_states(self, states: Iterable[tuple[str, str]]) -> None:
        """Set the states from pairs of path and state."""
        with self._transaction():
            self._database.executemany(
                "UPDATE files SET state = ? WHERE path = ?", ((state, path) for path, state in states)
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN")
        yield
        self._database.execute("COMMIT")

    def files(self, *states: str) -> Iterator[PlannedFile]:
        """In the order in which S3 sorts keys: bytes of UTF-8. States may be changed during the iteration."""
        last = ""
        while True:
            batch = self._database.execute(
                "SELECT path, media, size, mtime_ns, inode FROM files "  # noqa: S608 - question marks only
                f"WHERE path > ? AND state IN ({_marks(states)}) ORDER BY path LIMIT {_BATCH}",
                (last, *states),
            ).fetchall()
            if not batch:
                return
            yield from (PlannedFile(*row) for row in batch)
            last = batch[-1][0]

    def contains(self, path: str) -> bool:
        return self._database.execute("SELECT 1 FROM files WHERE path = ?", (path,)).fetchone() is not None

    def total(self, *states: str) -> Total:
        row = self._database.execute(
            "SELECT COUNT(DISTINCT media), COUNT(*), COALESCE(SUM(size), 0) FROM files "  # noqa: S608 - the same
            f"WHERE state IN ({_marks(states)})",
            states,
        ).fetchone()
        return Total(*row)

    def youngest_mtime_ns(self) -> int | None:
        youngest: int | None = self._database.execute("SELECT MAX(mtime_ns) FROM files").fetchone()[0]
        return youngest


def _marks(values: Sequence[str]) -> str:
    return ", ".join(["?"] * len(values))
