# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetches what is missing, proves it, and has it put in place: small objects whole, others in parts."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from ..database.rows import Row
from ..disk.content import ContentProblem
from ..disk.layout import Media, media_at
from ..disk.local_file import LocalFile
from ..disk.media_files import MediaFiles
from ..disk.placement import NewFile, StoppedError, TakenError, write_at
from ..errors import MediaError, RequestFailed, StoreError
from ..event_loop.loop import Task
from ..event_loop.semaphore import Semaphore
from ..proof.conflict import disagreement
from ..proof.evidence import Evidence
from ..proof.object_index import Found, ask
from ..proof.received import Contradiction, Damaged, prove_data, prove_file
from ..s3.objects import ObjectInfo, parts_of
from .context import Context, Wanted, is_original
from .planning import NO_ROW, Plan, archived_words, look_at

# Bytes: an object up to this is fetched by one request into memory.
SMALL = 256 * 1024
_PART = 4 * 1024 * 1024
# Parts in memory, over all large objects, and large objects under way.
_MOST_PARTS = 16
_MOST_LARGE = 4
# Small files that one thread puts in place together, and threads that do so: what is synced together costs less.
_BATCH = 64
_WRITERS = 4
# Small objects that wait to be put in place, beside those that are being fetched.
_AHEAD = 256
# How often a small object is fetched that is not what it should be.
_ATTEMPTS = 2
_REMOVED = "The object was removed since the bucket was listed. It is not on the disk either: look for a backup."
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Transfer:
    """Works through a plan. Raises StoreError or MediaError if the run must end; each file is reported."""

    def __init__(self, context: Context, most_threads: int) -> None:
        self._context = context
        loop = context.loop
        loop.allow_threads(max(_WRITERS + 4, most_threads))
        self._slots = Semaphore(loop, context.settings.concurrency + _AHEAD)
        self._parts = Semaphore(loop, _MOST_PARTS)
        self._large = Semaphore(loop, _MOST_LARGE)
        self._comparing = Semaphore(loop, _WRITERS)
        self._waiting: deque[tuple[Wanted, bytes, bool]] = deque()
        self._writers = 0
        self._files = MediaFiles(loop, context.root, most_threads)
        self._evidence = Evidence(self._files, context.bucket)
        self._tasks: deque[Task[None]] = deque()

    async def run(self, plan: Plan) -> None:
        """Restores all that the plan names."""
        batches: Iterator[list[Wanted]] = plan.batches()
        while True:
            batch = await self._context.loop.in_thread(next, batches, None)
            if batch is None:
                break
            await self._take(batch)
            while len(self._tasks) > 4 * len(batch):
                await self._tasks.popleft()
        while self._tasks:
            await self._tasks.popleft()
        while self._writers:
            await self._context.loop.sleep(0.005)

    async def _take(self, batch: Sequence[Wanted]) -> None:
        context = self._context
        media = {media_at(wanted.path) for wanted in batch}
        rows: dict[Media, Row] = await context.loop.in_thread(context.rows.look_up, list(media))
        for wanted in batch:
            row = rows.get(media_at(wanted.path))
            if row is None and not context.settings.selection.without_rows:
                # Synapse has removed the media since.
                context.report.skip(NO_ROW, wanted.size)
                continue
            row = row if is_original(wanted.path) else None
            if wanted.is_there:
                await self._comparing.enter()
                self._start(self._compare(wanted, row))
            elif wanted.size <= SMALL:
                await self._slots.enter()
                self._start(self._fetch(wanted, row))
            else:
                await self._large.enter()
                self._start(self._fetch_parts(wanted, row))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._context.loop.start(coroutine))

    async def _fetch(self, wanted: Wanted, row: Row | None) -> None:
        """A small object. What has been fetched waits in memory, and holds its slot until it is in place."""
        context = self._context
        try:
            data, proven = await self._received(wanted, row)
        except MediaError as error:
            self._slots.leave()
            if isinstance(error, StoreError):
                raise
            context.fail(wanted.path, error)
            return
        context.report.received += len(data)
        self._waiting.append((wanted, data, proven))
        if self._writers < _WRITERS:
            self._writers += 1
            context.loop.start(self._write())

    async def _received(self, wanted: Wanted, row: Row | None) -> tuple[bytes, bool]:
        """Its content, and whether something proves it. What was damaged is fetched once more."""
        bucket = self._context.bucket
        key = bucket.key(wanted.path)
        attempts = 0
        while True:
            attempts += 1
            found = await bucket.get_whole(key, wanted.size)
            if found is None:
                raise RequestFailed(_REMOVED, "NoSuchKey")
            info, data = found
            try:
                return data, prove_data(data, wanted.size, info, row)
            except (Damaged, Contradiction):
                if attempts == _ATTEMPTS:
                    raise

    async def _write(self) -> None:
        """One of the writers: puts what waits in place, as long as something does."""
        context = self._context
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for dummy in range(min(_BATCH, len(self._waiting)))]
                contents = [(wanted.path, data) for wanted, data, dummy in batch]
                outcomes = await context.loop.in_thread(context.placement.write, contents)
                end: MediaError | None = None
                for (wanted, *dummy, proven), outcome in zip(batch, outcomes):
                    self._slots.leave()
                    try:
                        await self._settle(wanted, outcome, proven)
                    except MediaError as error:
                        # What is in place is counted all the same.
                        end = error
                if end is not None:
                    raise end
        finally:
            self._writers -= 1

    async def _settle(self, wanted: Wanted, outcome: OSError | TakenError | StoppedError | None, proven: bool) -> None:
        context = self._context
        path, size = wanted.path, wanted.size
        context.placement.unreported.pop(path, None)
        if outcome is None:
            context.report.restore(path, size, proven=proven)
        elif isinstance(outcome, TakenError):
            (look,) = await context.loop.in_thread(look_at, context.root, [path])
            if look is not None and not isinstance(look, OSError) and look.st_size == size:
                context.report.present.add(size)
            else:
                context.fail(path, "Another program has put something else at its path meanwhile. It stays.")
        elif isinstance(outcome, OSError):
            if outcome.errno in _FULL:
                raise MediaError(
                    f"The disk of the media store is full ({outcome.strerror}). Every file that is there is whole. "
                    "Free space, or restore less, and run this again to go on."
                )
            context.fail(
                path,
                f"It could not be put on the disk ({outcome.strerror or outcome}). Nothing was replaced and no link "
                "followed; look at the directories on its path, and give them to Synapse's user.",
            )

    async def _fetch_parts(self, wanted: Wanted, row: Row | None) -> None:
        context = self._context
        new: NewFile | None = None
        outcome: OSError | TakenError | None = None
        failure: MediaError | None = None
        proven = False
        try:
            info = await self._info(wanted)
            new = await context.loop.in_thread(context.placement.begin, wanted.path)
            await self._write_parts(wanted, new, info.etag)
            proven = await context.loop.in_thread(
                prove_file, new.descriptor, wanted.size, info, row, context.is_stopping
            )
            await context.loop.in_thread(context.placement.publish, new)
        except StoreError:
            raise
        except (OSError, TakenError) as error:
            outcome = error
        except MediaError as error:
            failure = error
        # Not where the run ends meanwhile: then Placement.stop() removes it, as threads may still use it.
        if new is not None:
            context.placement.discard(new)
        self._large.leave()
        if failure is not None:
            context.fail(wanted.path, failure)
        else:
            await self._settle(wanted, outcome, proven)

    async def _info(self, wanted: Wanted) -> ObjectInfo:
        found = await ask(self._context.bucket, self._context.bucket.key(wanted.path))
        if isinstance(found, RequestFailed):
            raise found
        if found is None or found.info is None:
            raise RequestFailed(_REMOVED, "NoSuchKey")
        if found.archived:
            raise RequestFailed(archived_words(found.archived), "InvalidObjectState")
        if found.size != wanted.size:
            raise RequestFailed("The object was replaced since the bucket was listed. Run this again.", "Changed")
        return found.info

    async def _write_parts(self, wanted: Wanted, new: NewFile, etag: str) -> None:
        tasks: list[Task[None]] = []
        failures: list[Exception] = []
        for offset, length in parts_of(wanted.size, _PART):
            await self._parts.enter()
            if failures:
                self._parts.leave()
                break
            tasks = [task for task in tasks if not task.finished]
            tasks.append(self._context.loop.start(self._write_part(wanted.path, new, etag, offset, length, failures)))
        for task in tasks:
            await task
        if failures:
            raise failures[0]

    async def _write_part(
        self, path: str, new: NewFile, etag: str, offset: int, length: int, failures: list[Exception]
    ) -> None:
        """An error goes to `failures`: whoever has begun the parts waits for all of them."""
        context = self._context
        try:
            data = await context.bucket.get_range(context.bucket.key(path), offset, length, etag)
            await context.loop.in_thread(write_at, new.descriptor, data, offset)
            context.report.received += length
        except Exception as error:
            failures.append(error)
        finally:
            self._parts.leave()

    async def _compare(self, wanted: Wanted, row: Row | None) -> None:
        """Reads a file that is there, and compares it with its row and its object."""
        context = self._context
        try:
            (look,) = await context.loop.in_thread(look_at, context.root, [wanted.path])
            if look is None or isinstance(look, OSError):
                raise ContentProblem("The file is gone since this run began. Run this again.", "vanished")
            file = LocalFile(
                wanted.path,
                media_at(wanted.path),
                look.st_size,
                look.st_mtime_ns,
                look.st_ino,
                look.st_dev,
                look.st_ctime_ns,
            )
            (content,) = await self._files.read([(file, row is not None and row.sha256 is not None, False)])
            if isinstance(content, ContentProblem):
                raise content
            words = None if row is None else disagreement(file.size, content.sha256, row)
            if words is not None:
                raise Contradiction(f"The file on the disk is not the one that Synapse took: {words}. It stays.")
            if await self._evidence.is_copy(file, content, Found(wanted.size, wanted.etag)):
                context.report.present.add(wanted.size)
            else:
                context.fail(
                    wanted.path,
                    "The file on the disk and its object have the same length and another content. Both stay. Move "
                    "the file away to have the object.",
                )
        except StoreError:
            raise
        except MediaError as error:
            context.fail(wanted.path, error)
        finally:
            self._comparing.leave()
