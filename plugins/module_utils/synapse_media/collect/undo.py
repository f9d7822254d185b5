# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings back what a run has put into the trash, as its log says. It deletes no object, and replaces none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from ..errors import RequestFailed
from ..event_loop.loop import Loop
from ..s3.changing_bucket import ChangingBucket
from ..settings.store import StoreSettings
from .collector import BATCH, differs
from .log import DELETE, PURGE, Action, read_log
from .report import Report

# Why a line of the log brings nothing back.
PURGED = "purged"


class Undo:
    """One undo; in a dry run it counts what would come back."""

    def __init__(self, loop: Loop, bucket: ChangingBucket, report: Report) -> None:
        self._loop = loop
        self._bucket = bucket
        self._report = report

    async def run(self, log: Path, store: StoreSettings) -> None:
        """Raises ConfigurationError if the log is none, or damaged; StoreError if the store refuses the run."""
        # A log that is damaged further on brings nothing back.
        for dummy in read_log(log, store):
            pass
        for batch in _in_batches(read_log(log, store)):
            tasks = [self._loop.start(self._bring_back(action)) for action in batch]
            for task in tasks:
                await task

    async def _bring_back(self, action: Action) -> None:
        bucket, report = self._bucket, self._report
        key = bucket.key(action.path)
        if action.action == PURGE:
            report.skip(PURGED, action.size)
            return
        try:
            found = await bucket.look_at(key)
            if found is not None:
                report.present.add(found.info.size)
                return
            if action.action == DELETE:
                version = f" Its version {action.version_id} may be in the bucket still." if action.version_id else ""
                report.fail(action.path, key, f"It was deleted without a copy in the trash.{version}")
                return
            source = bucket.key(action.trash_path)
            version_in_trash = await bucket.look_at(source)
            if version_in_trash is None:
                report.fail(action.path, key, f"It is neither in the bucket nor in the trash ({source!r}).")
                return
            info = version_in_trash.info
            if not report.dry_run:
                problem = "the object in the trash was replaced meanwhile"
                if await bucket.copy(source, key, info.etag):
                    copied = await bucket.look_at(key)
                    problem = "the copy is not there" if copied is None else differs(info, copied.info)
                    problem = problem and f"the copy {problem}" if copied is not None else problem
                if problem:
                    report.fail(action.path, key, f"It was not brought back: {problem}. {source!r} stays in the trash.")
                    return
            report.note_restored(action.path, info.size)
        except RequestFailed as error:
            report.fail(action.path, key, str(error))


def _in_batches(actions: Iterable[Action]) -> Iterator[list[Action]]:
    rest = iter(actions)
    while batch := list(islice(rest, BATCH)):
        yield batch
