# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Takes what is due out of the bucket, batch by batch; the rows are asked again before and after each copy.

An object is deleted only once its copy in the trash is looked at, and as long as its media has no row. At every moment
it is in the bucket or in the trash.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from ..errors import RequestFailed
from ..s3.changing_bucket import LARGEST_COPY, Version
from ..s3.objects import ObjectInfo, is_md5
from ..settings.units import in_words
from .context import Context
from .deletion import Deletion
from .log import DELETE, PURGE, TRASH, Action, ActionLog
from .planning import Due, DueObjects
from .report import CHANGED, ROW_AGAIN
from .trash import trash_path

T = TypeVar("T")
R = TypeVar("R")

BATCH = 256

# What stores say of a copy that they do not know how to make.
_NOT_KNOWN = (400, 501)
_NO_ENCRYPTED_COPY = (
    "The store refuses to copy objects that are encrypted with a customer key (SSE-C), so there can be no trash for "
    "them. The object stays: delete it by hand, or run this with trash: false (--no-trash), which has no way back."
)
_NO_ROW = "its media has no row"
_EXPIRED = "it was in the trash for trash_keep"


class _Looked(NamedTuple):
    """An object that is due and still what the listing showed, and where it goes; an empty path for nowhere."""

    due: Due
    version: Version
    trash_path: str


class Collector:
    """Does what is planned, or in a dry run counts it."""

    def __init__(self, context: Context, deletion: Deletion, log: ActionLog) -> None:
        self._context = context
        self._bucket = context.bucket
        self._deletion = deletion
        self._log = log

    async def collect(self, orphans: DueObjects) -> None:
        """Puts the orphans into the trash, or deletes them where no trash is wanted. Raises StoreError, MediaError."""
        for batch in orphans.batches(BATCH):
            due = await self._without_row(batch)
            if self._context.report.dry_run:
                for each in due:
                    self._note(each)
                continue
            looked = [each for each in await self._each(self._look_at, due) if each is not None]
            self._log.add([self._action(each) for each in looked])
            if self._context.settings.trash:
                looked = [each for each in await self._each(self._put_aside, looked) if each is not None]
            # Copies take their time.
            still = {each.path for each in await self._without_row([each.due for each in looked])}
            await self._each(self._delete, [each for each in looked if each.due.path in still])

    async def purge(self, expired: DueObjects) -> None:
        """Deletes from the trash, for good, what has been there long enough. Raises StoreError, MediaError."""
        report = self._context.report
        for batch in expired.batches(BATCH):
            with_rows = await self._context.with_rows([each.original for each in batch])
            kept = await self._each(self._is_in_place, [each for each in batch if each.original in with_rows])
            due = [each for each in batch if each.original not in with_rows]
            due += [each for each in kept if each is not None]
            if report.dry_run:
                for each in due:
                    report.note_purged(each.path, each.size)
                continue
            self._log.add([Action(PURGE, each.path, each.size, each.etag, _EXPIRED) for each in due])
            now_with_rows = await self._context.with_rows([each.original for each in due]) - with_rows
            for each in due:
                if each.original in now_with_rows:
                    report.keep_in_trash(each.path)
            await self._each(self._purge, [each for each in due if each.original not in now_with_rows])

    async def _without_row(self, batch: Sequence[Due]) -> list[Due]:
        """Those whose media has no row now; the others stay, and are counted."""
        with_rows = await self._context.with_rows([each.path for each in batch])
        for each in batch:
            if each.path in with_rows:
                self._context.report.skip(ROW_AGAIN, each.size)
        return [each for each in batch if each.path not in with_rows]

    async def _each(self, do: Callable[[T], Coroutine[Any, Any, R]], items: Sequence[T]) -> list[R]:
        """All at once; the results in the order of the items."""
        tasks = [self._context.loop.start(do(item)) for item in items]
        return [await task for task in tasks]

    async def _look_at(self, due: Due) -> _Looked | None:
        """None for an object that stays: it is not what the listing showed, or it cannot be copied."""
        context = self._context
        try:
            version = await self._bucket.look_at(self._bucket.key(due.path))
        except RequestFailed as error:
            context.fail(due.path, error)
            return None
        if version is None or (version.info.size, version.info.etag) != (due.size, due.etag):
            context.report.skip(CHANGED, due.size)
            return None
        if not context.settings.trash:
            return _Looked(due, version, "")
        if due.size > LARGEST_COPY:
            context.fail(
                due.path,
                f"It has {in_words(due.size)}, and stores copy at most {in_words(LARGEST_COPY)} at once. It stays: "
                "delete it by hand, or run this once with trash: false (--no-trash).",
            )
            return None
        return _Looked(due, version, trash_path(context.stamp, due.path))

    async def _put_aside(self, looked: _Looked) -> _Looked | None:
        """Copies an object to the trash and looks at the copy; None if there is none to rely on."""
        context, bucket = self._context, self._bucket
        due, version, target = looked
        try:
            if not await bucket.copy(bucket.key(due.path), bucket.key(target), due.etag):
                context.report.skip(CHANGED, due.size)
                return None
            copied = await bucket.look_at(bucket.key(target))
        except RequestFailed as error:
            refused = bucket.uses_customer_key and error.status in _NOT_KNOWN
            context.fail(due.path, _NO_ENCRYPTED_COPY if refused else error)
            return None
        problem = "is not there" if copied is None else differs(version.info, copied.info)
        if problem:
            context.fail(
                due.path,
                f"The store says that it copied the object to {bucket.key(target)!r}, and the copy {problem}. The "
                "object stays. Look into the store's log.",
            )
            return None
        return looked

    async def _delete(self, looked: _Looked) -> None:
        due, dummy, target = looked
        try:
            if await self._deletion.delete(due.path, due.size, due.etag):
                self._note(due)
            else:
                self._context.report.skip(CHANGED, due.size)
        except RequestFailed as error:
            copy = f" Its copy {self._bucket.key(target)!r} stays in the trash." if target else ""
            self._context.fail(due.path, f"{error} The object stays.{copy}")

    async def _is_in_place(self, due: Due) -> Due | None:
        """The object of the trash, if it may go although its media has a row: an equal object is where it was."""
        try:
            found = await self._bucket.look_at(self._bucket.key(due.original))
        except RequestFailed:
            found = None
        if found is not None and due.etag and (found.info.size, found.info.etag) == (due.size, due.etag):
            return due
        self._context.report.keep_in_trash(due.path)
        return None

    async def _purge(self, due: Due) -> None:
        try:
            if await self._deletion.delete(due.path, due.size, due.etag):
                self._context.report.note_purged(due.path, due.size)
            else:
                self._context.report.skip(CHANGED, due.size)
        except RequestFailed as error:
            self._context.fail(due.path, error)

    def _note(self, due: Due) -> None:
        report = self._context.report
        (report.note_trashed if self._context.settings.trash else report.note_deleted)(due.path, due.size)

    def _action(self, looked: _Looked) -> Action:
        due, version, target = looked
        action = TRASH if target else DELETE
        return Action(action, due.path, due.size, due.etag, _NO_ROW, target, version.version_id)


def differs(source: ObjectInfo, copy: ObjectInfo) -> str:
    """How a copy differs from its source, in words; empty if nothing shows that it does.

    An ETag tells where both are digests of the whole content: not if they are encrypted, or were uploaded in parts.
    """
    if copy.size != source.size:
        return f"has {copy.size} bytes in place of {source.size}"
    if source.encrypted and not copy.encrypted:
        return "is not encrypted, as the object is"
    comparable = is_md5(source.etag) and is_md5(copy.etag) and not source.encrypted and not copy.encrypted
    if comparable and copy.etag != source.etag:
        return f"has the ETag {copy.etag} in place of {source.etag}"
    return ""
