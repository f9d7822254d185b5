# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two steps that update cache.db: rows come from Synapse's database, and are marked when no file is on disk."""

from __future__ import annotations

from ..database.errors import require_file
from ..database.lookups import open_database
from ..disk.layout import content_path
from ..errors import ConfigurationError
from ..reporting import SHOWN
from ..settings.homeserver import DatabaseSettings
from ..settings.units import in_seconds, parse_duration
from .cache import Cache, open_cache
from .candidates import look_for_files
from .job import Job
from .reoffer import Reoffer
from .results import CheckDeletedResult, StepFailedError, UpdateDbResult
from .state import write_database


def update_db(job: Job, older_than: str) -> UpdateDbResult:
    """Add media that was last used longer ago than a duration, including media that is on the disk again."""
    duration = parse_duration(older_than)
    database = _database(job)
    with open_cache(job.workspace.directory) as cache:
        job.media_store.check(cache.offered_count())
        before = cache.snapshot()
        if not job.media_store.is_known:
            _refuse_foreign_media_store(job, cache, database)
    write_database(job.workspace, database)
    output = job.run_or_fail(["update-db", in_seconds(duration)])
    if output.since_ms is None:
        raise _unknown_release("update-db", "the time it compares with")
    result = UpdateDbResult(rows_synced=output.counts["rows_synced"])
    with open_cache(job.workspace.directory) as cache:
        _check_count("update-db", result.rows_synced, cache.count_since(before))
        for media in cache.added_since(before, SHOWN):
            result.diff.add(content_path(media), None, "offered")
        result.diff.add_uncounted(max(0, result.rows_synced - SHOWN))
        reoffer = Reoffer(cache, job.root)
        reoffer.read_disk()
        with open_database(database) as rows:
            offered_again = reoffer.offer(rows, output.since_ms)
    for media in offered_again:
        result.diff.add(content_path(media), "given up, yet on disk", "offered again")
    result.rows_reoffered = len(offered_again)
    job.remember_media_store()
    return result


def check_deleted(job: Job) -> CheckDeletedResult:
    """Mark rows of media that has no file on disk."""
    with open_cache(job.workspace.directory) as cache:
        job.media_store.check(cache.offered_count())
        before = cache.snapshot()
        findings = look_for_files(job.root, cache.offered())
    if findings.hidden:
        # The script would treat files that it cannot see as deleted.
        raise ConfigurationError(
            f"Of {len(findings.hidden)} media it cannot be told whether they are on disk: {findings.hidden}. "
            "Give the media store to the user this runs as (synapse_s3_synapse_user)."
        )
    output = job.run_or_fail(["check-deleted", job.root])
    result = CheckDeletedResult(marked_deleted=output.counts["marked_deleted"])
    with open_cache(job.workspace.directory) as cache:
        _check_count("check-deleted", result.marked_deleted, cache.snapshot().known_deleted - before.known_deleted)
    for path in findings.some_without_files:
        result.diff.add(path, "offered, yet not on disk", "not offered")
    result.diff.add_uncounted(max(0, result.marked_deleted - SHOWN))
    job.remember_media_store()
    return result


def _database(job: Job) -> DatabaseSettings:
    if job.database is None:
        raise ConfigurationError(
            "update-db needs Synapse's database. "
            "Set homeserver_config to the files Synapse is started with, or set database."
        )
    require_file(job.database)
    return job.database


def _refuse_foreign_media_store(job: Job, cache: Cache, database: DatabaseSettings) -> None:
    reoffer = Reoffer(cache, job.root)
    reoffer.read_disk()
    with open_database(database) as rows:
        reoffer.refuse_foreign_disk(rows)


def _check_count(command: str, reported: int, counted: int) -> None:
    if reported != counted:
        reason = f"its counts do not add up: it reports {reported} rows, and {counted} rows changed in cache.db."
        raise StepFailedError(f"s3_media_upload {command} failed: {reason}", reason)


def _unknown_release(command: str, missing: str) -> StepFailedError:
    reason = f"it did not print {missing}, so it is a release that is not known here."
    return StepFailedError(f"s3_media_upload {command} failed: {reason}", reason)
