# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The run, window by window: upload what is missing, prove that it is in the bucket, and only then unlink."""

from __future__ import annotations

from collections import deque

from ..disk.walk import UNREADABLE_DIRECTORY
from ..event_loop.loop import Task
from ..proof.object_index import ObjectIndex
from ..s3.multipart import LARGE, abort_leftovers
from .context import Context
from .disk_limits import DiskLimits
from .selection import Rules, Window, Windows, selected_by
from .transfer import transfer

# One window is looked up, the one before it is transferred, and the one before that is proven and unlinked.
_WINDOWS_IN_FLIGHT = 3


async def offload(context: Context) -> None:
    """Goes through the media store once, and writes into the report what became of each file.

    Raises StoreError if the store refuses the run and MediaError if the database cannot be read. Each file is
    then still whole on the disk or proven to be in the bucket, as at every other moment.
    """
    settings = context.settings
    rules = Rules(settings.older_than, settings.grace, settings.store_remote)
    limits = DiskLimits(context) if settings.limits_disk else None
    if limits is not None:
        rules = await limits.apply(rules)
    windows = Windows(
        context.files.root,
        context.rows,
        rules,
        settings.shard,
        context.now,
        most_threads=context.files.most_threads,
    )
    index = ObjectIndex(context.loop, context.bucket, dated=settings.min_bucket_age is not None)
    leftovers = None if context.rehearse else context.loop.start(abort_leftovers(context.bucket, context.now))
    under_way: deque[Task[None]] = deque()
    reading: Task[Window | None] = context.loop.start(context.files.in_thread(windows.next))
    while True:
        window = await reading
        if window is None:
            break
        # Read the next window while the store is asked about this one.
        reading = context.loop.start(context.files.in_thread(windows.next))
        _count(context, window)
        if limits is not None:
            for candidate in window.candidates:
                setting = selected_by(candidate, rules, context.now)
                context.report.selected[setting].add(candidate.file.size)
        if not context.rehearse and any(candidate.file.size >= LARGE for candidate in window.candidates):
            context.uploads.checks.begin_checksum()
        if window.candidates:
            answers = await index.look_up([context.key(candidate.file) for candidate in window.candidates])
            context.uploads.new_objects.nothing_there = index.nothing_there
            under_way.append(context.loop.start(transfer(context, window.candidates, answers)))
        if window.empty_directories and settings.delete_local and not context.rehearse:
            await context.removals.prune(window.empty_directories)
        if len(under_way) >= _WINDOWS_IN_FLIGHT:
            await under_way.popleft()
        context.uploads.background = [task for task in context.uploads.background if not task.finished]
    windows.close()
    for task in under_way:
        await task
    for task in context.uploads.background:
        await task
    await context.uploads.abort_late_parts()
    if leftovers is not None:
        await leftovers
    if limits is not None:
        limits.warn_if_exceeded()
    if context.undated:
        context.report.warnings.append(
            f"The store did not say since when it has {context.undated} objects (LastModified), so their files stay, "
            "because min_bucket_age is set. Look into the documentation of the store, or leave min_bucket_age out."
        )


def _count(context: Context, window: Window) -> None:
    report = context.report
    report.scanned.files += window.scanned.files
    report.scanned.bytes += window.scanned.bytes
    report.database_rows = context.rows.sent
    for reason, path, size in window.left:
        if reason == UNREADABLE_DIRECTORY:
            report.fail(path, context.store.prefix + path, "The directory cannot be read. Give it to Synapse's user.")
        else:
            report.skip(reason, size)
