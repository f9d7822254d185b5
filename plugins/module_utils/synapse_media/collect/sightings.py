# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Since when each object is known to have no row: a record of one run that the next one reads.

Both are in the order of the paths, so they are merged as streams and memory stays flat. An object that is gone, has a
row again or was replaced loses its entry, and begins anew when it is seen without a row the next time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ..disk.durable_file import sync_directory
from ..errors import ConfigurationError, MediaError
from ..settings.store import StoreSettings

SIGHTINGS_NAME = "sightings"
_NEW_NAME = "sightings.new"
_VERSION = 1


class Sightings:
    """The record in a directory. `first_seen` is called with ascending paths; keep() replaces the record.

    Without `writes` nothing is written. Leaving the block without keep() leaves the record as it was.
    """

    def __init__(self, directory: Path, store: StoreSettings, now: float, *, writes: bool) -> None:
        """`now` in seconds since 1970. A record of another location in S3 counts for nothing."""
        self._path = directory / SIGHTINGS_NAME
        self._new_path = directory / _NEW_NAME
        self._header = {
            "version": _VERSION,
            "bucket": store.bucket,
            "prefix": store.prefix,
            "endpoint_url": store.endpoint_url or "",
        }
        self._now = now
        self._writes = writes
        self._file: IO[str] | None = None
        self._old: Iterator[tuple[str, str, float]] = iter(())
        self._next: tuple[str, str, float] | None = None

    def __enter__(self) -> Sightings:
        self._old = self._read()
        self._next = next(self._old, None)
        if self._writes:
            try:
                descriptor = os.open(self._new_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise _cannot_write(self._new_path, error) from error
            self._file = os.fdopen(descriptor, "w", encoding="utf-8")
            self._write(self._header)
        return self

    def first_seen(self, path: str, identity: str) -> float:
        """When this very object was first seen without a row, in seconds since 1970; now, if it was not before."""
        while self._next is not None and self._next[0] < path:
            self._next = next(self._old, None)
        seen = self._now
        if self._next is not None and self._next[:2] == (path, identity):
            # A clock that was set back must not make it older than the record says.
            seen = min(self._next[2], self._now)
        self._write([path, identity, seen])
        return seen

    def keep(self) -> None:
        """Puts the new record in place, durably. Raises MediaError."""
        if self._file is None:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._new_path.replace(self._path)
            sync_directory(self._path.parent)
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        finally:
            self._file = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._new_path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Removes the record, so that all times begin anew. Raises MediaError."""
        try:
            self._path.unlink(missing_ok=True)
            sync_directory(self._path.parent)
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def _write(self, entry: Any) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise _cannot_write(self._new_path, error) from error

    def _read(self) -> Iterator[tuple[str, str, float]]:
        """What the last record says, up to where it is not what this program writes."""
        try:
            with self._path.open(encoding="utf-8") as file:
                if json.loads(file.readline() or "null") != self._header:
                    return
                last = ""
                for line in file:
                    path, identity, seen = json.loads(line)
                    if not isinstance(path, str) or path <= last or not isinstance(seen, (int, float)):
                        return
                    last = path
                    yield path, str(identity), float(seen)
        except FileNotFoundError:
            return
        except ValueError:
            # Damaged: what follows is seen for the first time.
            return
        except OSError as error:
            raise ConfigurationError(
                f"{self._path} cannot be read ({error.strerror}). Give its directory to the user this runs as."
            ) from error


def _cannot_write(path: Path, error: OSError) -> MediaError:
    return MediaError(
        f"{path} cannot be written ({error.strerror}). Free space there, and give its directory to the user this runs "
        "as."
    )
