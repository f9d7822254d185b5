# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The only place that unlinks media: each file is proven to be in the bucket, and still the file that was proven.

On a file system that other hosts may write to, a file is opened before its identity is trusted: stat() by name may
return attributes that another host's change has made stale, while an open asks the server. Then stat() by name is
called once more. Between that and the unlink remain some microseconds (on a network file system one round trip) in
which another program may put another file there: no system call unlinks a name only if it still leads to a certain
file. The same holds for the check of an empty directory and its removal: a directory that got an entry meanwhile is
not removed, but a program that has checked that the directory exists, and then makes a file in it, may find it gone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Union

from ..event_loop.loop import Loop
from .directories import OpenDirectories, open_patiently
from .directory_ages import DirectoryAges
from .file_systems import local_devices
from .local_file import Identity, LocalFile, Removable, identity_of
from .own_unlinks import OwnUnlinks
from .pace import FileSystemPace

DELETED = "deleted"
CHANGED = "changed"
VANISHED = "vanished"

# DELETED, CHANGED or VANISHED; an OSError if the file is unchanged and cannot be removed.
Removed = Union[str, OSError]

# Not blocking: a FIFO may have replaced the file, and opening that would wait for a writer.
_READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_ATIME = getattr(os, "O_NOATIME", 0)
# The errors of an open if a link, a socket or a device has replaced the file.
_REPLACED = (errno.ELOOP, errno.ENXIO, errno.ENODEV)

# What one thread is given at a time on a fast file system; on a slow one as few as its pace says.
_FILES_A_JOB = 128
_DIRECTORIES_A_JOB = 256
# The number of a pace that has measured no slow file system.
_FAST = FileSystemPace(1).batch
# Seconds that finish() waits for the unlink that each job has in progress.
_PATIENCE = 10.0


class Removals:
    """Unlinks files in threads of the loop, and reports each exactly once, on the loop's thread.

    `grace` is in seconds: directories that another program changed within it stay. `report` is called with each file
    and its outcome. At most `most_jobs` of the loop's threads are used by one call at a time.
    """

    def __init__(
        self,
        loop: Loop,
        root: str,
        own_unlinks: OwnUnlinks,
        grace: float,
        report: Callable[[Any, Removed], None],
        most_jobs: int = 4,
    ) -> None:
        self._loop = loop
        self._report = report
        self._remover = _Remover(root, own_unlinks, grace, most_jobs)
        self._jobs: dict[_Job, None] = {}
        #: Directories that were removed because they were empty.
        self.removed_directories = 0

    @property
    def batch_size(self) -> int:
        """The number of files to give to one job."""
        return _batch(self._remover.pace, _FILES_A_JOB)

    async def remove(self, files: Sequence[Removable]) -> None:
        """Unlinks each file that is still what was proven, then the directories that this emptied. Raises nothing.

        Files of one directory should come together. finish() waits for what the loop's run no longer waits for.
        """
        size = self.batch_size
        jobs = [_Job(files[start : start + size], ()) for start in range(0, len(files), size)]
        await self._run(jobs, self._remover.pace.threads)

    async def prune(self, empty_directories: Sequence[str]) -> None:
        """Removes directories that are empty and old, given by path, then their parents that this emptied."""
        size = _batch(self._remover.pruning_pace, _DIRECTORIES_A_JOB)
        starts = range(0, len(empty_directories), size)
        jobs = [_Job((), empty_directories[start : start + size]) for start in starts]
        await self._run(jobs, self._remover.pruning_pace.threads)

    def finish(self, patience: float = _PATIENCE) -> int:
        """Call this after the loop's run has ended, however it ended. Returns the number of unlinks still in progress.

        No job continues with another file; what the jobs have done until then is reported. If the file system does not
        respond, an unlink may last longer than `patience` (seconds), and that one is never reported.
        """
        self._remover.stopping = True
        until = time.monotonic() + patience
        in_progress = 0
        for job in list(self._jobs):
            ended = job.cancel() or job.ended.wait(max(0.0, until - time.monotonic()))
            in_progress += not ended
            self._settle(job)
        return in_progress

    async def _run(self, jobs: list[_Job], at_once: int) -> None:
        jobs.reverse()

        async def run_in_turn() -> None:
            while jobs and not self._remover.stopping:
                job = jobs.pop()
                self._jobs[job] = None
                await self._loop.in_thread(job.run, self._remover)
                self._settle(job)

        others = [self._loop.start(run_in_turn()) for dummy in range(min(len(jobs), at_once) - 1)]
        await run_in_turn()
        for other in others:
            await other

    def _settle(self, job: _Job) -> None:
        self._jobs.pop(job, None)
        self.removed_directories += job.removed_directories
        job.removed_directories = 0
        for file, outcome in job.unreported():
            self._report(file, outcome)


class _Job:
    """What one thread does; its outcomes can be read while it runs."""

    def __init__(self, files: Sequence[Removable], directories: Sequence[str]) -> None:
        self._files = files
        self._directories = directories
        self._outcomes: list[Removed] = []
        self._reported = 0
        self._start_lock = threading.Lock()
        self.removed_directories = 0
        self.ended = threading.Event()

    def run(self, remover: _Remover) -> None:
        # Never released: whoever acquires it first runs this job or cancels it.
        if not self._start_lock.acquire(blocking=False):
            return
        try:
            with OpenDirectories(remover.root) as directories:
                emptied: dict[str, None] = dict.fromkeys(self._directories)
                for file in self._files:
                    if remover.stopping:
                        return
                    outcome = remover.remove(directories, file.file, file.identity)
                    self._outcomes.append(outcome)
                    if outcome == DELETED:
                        emptied[_parent(file.file.path)] = None
                for dummy in remover.prune(directories, emptied):
                    self.removed_directories += 1
        finally:
            self.ended.set()

    def cancel(self) -> bool:
        """Return True if no thread has started it, and now none will."""
        return self._start_lock.acquire(blocking=False)

    def unreported(self) -> Iterator[tuple[Removable, Removed]]:
        """Yield the files, with their outcomes, that came since the last call."""
        while self._reported < len(self._outcomes):
            reported = self._reported
            self._reported += 1
            yield self._files[reported], self._outcomes[reported]


class _Remover:
    """What the jobs of a run share. Everything here blocks."""

    def __init__(self, root: str, own_unlinks: OwnUnlinks, grace: float, most_jobs: int) -> None:
        self.root = root
        self.stopping = False
        # Opening a file and removing an empty directory take different times.
        self.pace = FileSystemPace(most_jobs)
        self.pruning_pace = FileSystemPace(most_jobs)
        self._own_unlinks = own_unlinks
        self._ages = DirectoryAges(grace)
        self._local_devices = local_devices()

    def remove(self, directories: OpenDirectories, file: LocalFile, identity: Identity) -> Removed:
        try:
            directory, name = directories.place_of(file.path)
            return self._remove(file.path, name, directory, identity)
        except FileNotFoundError:
            return VANISHED
        except NotADirectoryError:
            # A link or a file has replaced a directory on the path.
            return CHANGED
        except OSError as error:
            return CHANGED if error.errno in _REPLACED else error

    def _remove(self, path: str, name: bytes, directory: int, identity: Identity) -> Removed:
        began = time.perf_counter()
        if identity.device in self._local_devices:
            outcome = self._unlink(path, name, directory, identity, of_one_name=True)
            if outcome == DELETED:
                self.pace.note(time.perf_counter() - began)
                return outcome
        descriptor = _open(name, directory)
        self.pace.note(time.perf_counter() - began)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return CHANGED
            if status.st_nlink > 1:
                # Our own unlink of one name changes the status of the others.
                with self._own_unlinks.changing(identity) as unlink:
                    status = os.fstat(descriptor)
                    if not unlink.is_same(identity, identity_of(status)):
                        return CHANGED
                    outcome = self._unlink(path, name, directory, identity_of(status))
                    if outcome == DELETED:
                        # The unlink is done: if this fails, the other names wait for the next run.
                        with contextlib.suppress(OSError):
                            unlink.record(status, os.fstat(descriptor))
                    return outcome
        finally:
            # Closed before the unlink: NFS renames an open file and removes it later, and its directory stays.
            _close(descriptor)
        if not self._own_unlinks.is_same_file(identity, status):
            return CHANGED
        return self._unlink(path, name, directory, identity_of(status))

    def _unlink(
        self, path: str, name: bytes, directory: int, identity: Identity, *, of_one_name: bool = False
    ) -> Removed:
        """Return DELETED or CHANGED. With `of_one_name`, a file that has other names (hard links) counts as changed."""
        outcome = CHANGED

        def unlink_if_same() -> None:
            nonlocal outcome
            now = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if identity.is_of(now) and not (of_one_name and now.st_nlink > 1):
                os.unlink(name, dir_fd=directory)
                outcome = DELETED

        self._ages.change(_parent(path), directory, unlink_if_same)
        return outcome

    def prune(self, directories: OpenDirectories, candidates: Iterable[str]) -> Iterator[str]:
        """Removes directories that are empty and old, level by level upwards, and yields the path of each."""
        level = set(candidates)
        while level:
            above = set()
            # Sorted, so that each parent is opened once.
            for path in sorted(level):
                if self.stopping:
                    return
                # The first level (local_content and the like) stays, and so does the media store.
                if "/" in path and self._remove_empty(directories, path):
                    yield path
                    above.add(_parent(path))
            level = above

    def _remove_empty(self, directories: OpenDirectories, path: str) -> bool:
        try:
            began = time.perf_counter()
            parent, name = directories.place_of(path)
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(status.st_mode) or not self._ages.is_old(path, status):
                return False
            self._ages.rmdir(path, name, parent)
            self.pruning_pace.note(time.perf_counter() - began)
        except OSError:
            # In use again, gone, or not permitted. A directory that stays does no harm.
            return False
        return True


def _batch(pace: FileSystemPace, most: int) -> int:
    batch = pace.batch
    return most if batch >= _FAST else batch


def _open(name: bytes, directory: int) -> int:
    try:
        # The access time stays: reading by the engine is no use of the media.
        return open_patiently(name, _READING | _NO_ATIME, directory)
    except PermissionError as error:
        # Only a file's owner may open it without a change of its access time.
        if error.errno != errno.EPERM:
            raise
        return open_patiently(name, _READING, directory)


def _close(descriptor: int) -> None:
    try:
        os.close(descriptor)
    except OSError:
        # Nothing was written, and the outcome for the file is known already.
        return


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
