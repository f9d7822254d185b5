# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place that puts files into the media store: whole, synced to the disk, and never over another file.

A file is written under a temporary name in its own directory, synced, and only then given its name, by a hard link,
which fails if the name is taken. Directories are opened level by level, so that no link leads outside. Owner and group
are those of this process; modes follow from the directory above, as they do for what Synapse makes.

Everything here blocks, and may be called from several threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence

from .directories import OpenDirectories, encoded, open_patiently

TEMPORARY_PREFIX = ".synapse-s3-restore-"

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SYNCING = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# File systems without hard links.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_RENAME_NOREPLACE = 1


class TakenError(Exception):
    """There is something at the path by now. It stays."""


class StoppedError(Exception):
    """The run is ending, so nothing more is put in place."""


class NewFile:
    """A file that has no name of its own yet. `descriptor` may be written and read until it is published."""

    def __init__(self, path: str, temporary: bytes, descriptor: int) -> None:
        self.path = path
        self.temporary = temporary
        self.descriptor = descriptor


class Placement:
    """Puts files below `root`, the media store. After stop() nothing is put in place any more."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._lock = threading.Condition()
        self._active = 0
        self._stopping = False
        self._number = 0
        # Temporary files that were made, and neither published nor removed.
        self._open: dict[NewFile, None] = {}
        #: Sizes in bytes of files that have their name, by path; whoever has reported one takes it out.
        self.unreported: dict[str, int] = {}

    def write(self, contents: Sequence[tuple[str, bytes]]) -> list[OSError | TakenError | StoppedError | None]:
        """Puts small files in place, given by path and content; best many at a time. None for each that is in place.

        Raises nothing. Whatever is returned as in place is on the disk also after a power cut.
        """
        outcomes: list[OSError | TakenError | StoppedError | None] = []
        made: list[NewFile | None] = []
        with OpenDirectories(self._root) as directories:
            changed: dict[str, None] = {}
            for path, content in contents:
                try:
                    new = self._make(directories, path, changed)
                    made.append(new)
                    write_at(new.descriptor, content, 0)
                    outcomes.append(None)
                except (OSError, StoppedError) as error:
                    if len(made) == len(outcomes):
                        made.append(None)
                    outcomes.append(error)
            self._sync(made, outcomes)
            for position, each in enumerate(made):
                if each is None:
                    continue
                if outcomes[position] is None:
                    try:
                        self._publish(directories, each, changed)
                        continue
                    except (OSError, TakenError, StoppedError) as error:
                        outcomes[position] = error
                self._remove(directories, each)
            problem = self._sync_directories(directories, changed)
        return [problem if outcome is None else outcome for outcome in outcomes]

    def begin(self, path: str) -> NewFile:
        """A file to be written in parts; the caller publishes or discards it. Raises OSError or StoppedError."""
        with OpenDirectories(self._root) as directories:
            changed: dict[str, None] = {}
            new = self._make(directories, path, changed)
            problem = self._sync_directories(directories, changed)
            if problem is not None:
                self._remove(directories, new)
                raise problem
            return new

    def publish(self, new: NewFile) -> None:
        """Gives the file its name; it is on the disk then. Raises OSError, TakenError or StoppedError: discard it."""
        os.fsync(new.descriptor)
        with OpenDirectories(self._root) as directories:
            changed: dict[str, None] = {}
            self._publish(directories, new, changed)
            problem = self._sync_directories(directories, changed)
            if problem is not None:
                raise problem

    def discard(self, new: NewFile) -> None:
        """Removes the file, unless it was published or discarded already. Raises nothing."""
        with OpenDirectories(self._root) as directories:
            self._remove(directories, new)

    def stop(self, patience: float = 10.0) -> int:
        """Ends the work in other threads, and removes what is not in place. Returns how many could not be removed.

        `patience` in seconds: a file system that does not answer is not waited for longer.
        """
        until = time.monotonic() + patience
        with self._lock:
            self._stopping = True
            while self._active:
                if not self._lock.wait(until - time.monotonic()):
                    break
        with OpenDirectories(self._root) as directories:
            for new in list(self._open):
                with contextlib.suppress(OSError):
                    # Not closed: another thread may be writing to it, and its number must not become another file's.
                    self._unlink(directories.place_of(new.path)[0], new)
                    self._open.pop(new, None)
        return len(self._open)

    @contextlib.contextmanager
    def _working(self) -> Iterator[None]:
        """Around every step that makes a name, so that stop() knows when there is none under way."""
        with self._lock:
            if self._stopping:
                raise StoppedError
            self._active += 1
        try:
            yield
        finally:
            with self._lock:
                self._active -= 1
                self._lock.notify_all()

    def _make(self, directories: OpenDirectories, path: str, changed: dict[str, None]) -> NewFile:
        with self._working():
            parent = path.rpartition("/")[0]
            _make_directories(directories, parent, changed)
            directory = directories.descriptor(parent)
            with self._lock:
                self._number += 1
                temporary = f"{TEMPORARY_PREFIX}{os.getpid()}-{self._number}".encode()
            mode = stat.S_IMODE(os.fstat(directory).st_mode) & 0o666
            new = NewFile(path, temporary, open_patiently(temporary, _NEW, directory, 0o600))
            self._open[new] = None
            # Whatever the umask is.
            os.fchmod(new.descriptor, mode | 0o600)
            return new

    def _sync(self, made: Sequence[NewFile | None], outcomes: list[OSError | TakenError | StoppedError | None]) -> None:
        for position, each in enumerate(made):
            if each is None or outcomes[position] is not None or self._stopping:
                continue
            try:
                os.fsync(each.descriptor)
            except OSError as error:
                outcomes[position] = error

    def _publish(self, directories: OpenDirectories, new: NewFile, changed: dict[str, None]) -> None:
        with self._working():
            directory, name = directories.place_of(new.path)
            try:
                os.link(new.temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
            except FileExistsError as error:
                raise TakenError from error
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _rename_if_free(directory, new.temporary, name)
            self.unreported[new.path] = os.fstat(new.descriptor).st_size
            changed[new.path.rpartition("/")[0]] = None
            self._forget(directory, new)

    def _remove(self, directories: OpenDirectories, new: NewFile) -> None:
        if new not in self._open:
            return
        with contextlib.suppress(OSError):
            self._forget(directories.place_of(new.path)[0], new)

    def _forget(self, directory: int, new: NewFile) -> None:
        self._unlink(directory, new)
        if self._open.pop(new, new) is None:
            os.close(new.descriptor)

    @staticmethod
    def _unlink(directory: int, new: NewFile) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new.temporary, dir_fd=directory)

    def _sync_directories(self, directories: OpenDirectories, changed: dict[str, None]) -> OSError | None:
        """Until then a power cut could take the new names away again."""
        try:
            for path in sorted(changed, reverse=True):
                place = directories.descriptor(path) if path else directories.root_descriptor()
                descriptor = open_patiently(".", _SYNCING, place)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        except OSError as error:
            return error
        return None


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Writes all of it. Raises OSError, which names a full disk as ENOSPC or EDQUOT."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written


def remove_temporaries(root: str, first_levels: Sequence[str]) -> int:
    """Removes the temporary files of a run that was killed, while no other run is at work. Returns how many."""
    removed = 0
    for first in first_levels:
        try:
            top = os.open(f"{root}/{first}", _SYNCING)
        except OSError:
            continue
        try:
            for *dummy, names, descriptor in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                for name in names:
                    if name.startswith(TEMPORARY_PREFIX) and _is_own_file(name, descriptor):
                        with contextlib.suppress(OSError):
                            os.unlink(name, dir_fd=descriptor)
                            removed += 1
        finally:
            os.close(top)
    return removed


def _is_own_file(name: str, directory: int) -> bool:
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()


def _make_directories(directories: OpenDirectories, path: str, changed: dict[str, None]) -> None:
    """Raises NotADirectoryError where a link or a file is in the way."""
    try:
        directories.descriptor(path)
    except FileNotFoundError:
        above = path.rpartition("/")[0]
        if above:
            _make_directories(directories, above, changed)
        parent, name = directories.place_of(path) if above else (directories.root_descriptor(), encoded(path))
        mode = stat.S_IMODE(os.fstat(parent).st_mode) & 0o777
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode | 0o700, dir_fd=parent)
            made = os.stat(name, dir_fd=parent, follow_symlinks=False)
            # Whatever the umask is. The bit that hands the group down stays, which mkdir() has set.
            os.chmod(name, (made.st_mode & 0o7000) | mode | 0o700, dir_fd=parent)
        changed[above] = None


def _rename_if_free(directory: int, temporary: bytes, name: bytes) -> None:
    """Raises TakenError, or OSError also where neither links nor this can be had."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        raise OSError(errno.ENOSYS, "the file system has no hard links, and this system no renameat2()")
    if library.renameat2(directory, temporary, directory, name, ctypes.c_uint(_RENAME_NOREPLACE)):
        number = ctypes.get_errno()
        if number == errno.EEXIST:
            raise TakenError
        raise OSError(number, os.strerror(number))
