# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One run at a time: a lock that the kernel releases when the last process that holds it has ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from types import TracebackType

from ..errors import ConfigurationError, LockedError

LOCK_NAME = "lock"


class RunLock:
    """A flock on one file. The file stays behind: removing it would let two runs lock two different files."""

    def __init__(self, path: str, *, create: bool = True, part: int | None = None) -> None:
        """A rehearsal does not `create`. Runs of different numbers of a `part` go side by side, beside no whole run."""
        self.path = path
        self._create = create
        self._part = part
        self._descriptor: int | None = None

    @property
    def descriptor(self) -> int | None:
        """For a child to inherit: the lock then holds until the child has ended too, even if this process is killed."""
        return self._descriptor

    def __enter__(self) -> RunLock:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if self._create else 0)
        try:
            descriptor = os.open(self.path, flags, 0o600)
        except FileNotFoundError:
            if self._create:
                raise
            # A rehearsal makes no file; without one no run can be at work.
            return self
        except OSError as error:
            raise ConfigurationError(
                f"The lock file {self.path} cannot be opened ({error.strerror}). "
                "Give its directory to the user this runs as."
            ) from error
        try:
            self._lock(descriptor)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"Another run (process {holder})" if holder.isdigit() else "Another run"
            raise LockedError(
                f"{who} holds the lock {self.path}. Wait until it has ended; nothing was done."
            ) from error
        self._descriptor = descriptor
        if self._create and self._part is None:
            # The lock holds without it: a disk that is full must not keep away the run that would free it.
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        return self

    def _lock(self, descriptor: int) -> None:
        if self._part is None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # The other kind of lock, of one byte a part, which knows nothing of the first.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, self._part)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def lock_on_media_store(root: str, *, alone: bool = True) -> Iterator[None]:
    """Locks the media store itself, against a run with another state directory. Those not `alone` share the lock."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some network file systems cannot lock directories; the lock in the state directory still holds.
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise LockedError(
                    f"Another run holds the lock on the media store {root}. Wait until it has ended; nothing was done."
                ) from error
        yield
    finally:
        os.close(descriptor)
