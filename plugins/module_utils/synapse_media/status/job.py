# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One status as the command line and the module ask for it. Whatever cannot be asked becomes part of the status."""

from __future__ import annotations

import os
import pwd
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..audit.run import AuditSettings, Observer, audit
from ..database.rows import Row, open_rows
from ..database.usage import usage_of as rows_usage
from ..disk.local_file import LocalFile
from ..errors import ConfigurationError, MediaError
from ..offload.selection import Rules, reason_to_leave
from ..offload.settings import LOCAL_CACHE_SIZE, MIN_BUCKET_AGE, MIN_FREE, OffloadSettings
from ..process.environment import apply, run_environment
from ..process.privileges import worker
from ..runs.job import import_late
from ..runs.preflight import UsedLocation, is_media_store, media_store_root
from ..settings.config import SourceSettings
from ..settings.location import StoreLocation
from ..settings.provider_check import check_provider
from ..settings.source import Source, resolve
from ..settings.store import StoreSettings
from .report import Disk, Status
from .units import MigrateJob

OTHER_SHARD = "other_shard"


@dataclass(frozen=True)
class StatusJob:
    """What is asked, from the settings. Raises nothing for what cannot be read: `failures` has it."""

    media_path: str | None
    source: Source | None
    source_failure: str | None
    provider_failure: str | None
    store: StoreSettings
    settings: OffloadSettings


def status_job(settings: SourceSettings, store: StoreSettings, offload: OffloadSettings) -> StatusJob:
    """Reads what Synapse's configuration says about media, as far as it can be read."""
    source: Source | None = None
    failure = provider_failure = None
    try:
        source = resolve(settings, read_always=True)
    except ConfigurationError as error:
        failure = str(error)
    try:
        with_processes = resolve(settings, with_database=False, with_processes=True)
        source = source or with_processes
        source = Source(source.media_path, source.database, source.keeps_local_media, with_processes.processes)
    except ConfigurationError as error:
        provider_failure = str(error)
    media_path = source.media_path if source is not None else settings.media_path
    return StatusJob(media_path, source, failure, provider_failure, store, offload)


def status_of(job: StatusJob, migrate: MigrateJob, observe: Observer | None = None) -> Status:
    """Asks all that is to be asked. The user is the right one already. Raises only for a bug or a signal."""
    apply(run_environment(os.environ, job.store, None))
    root, root_failure = _root(job)
    database = job.source.database if job.source is not None else None
    database_failure = None
    if database is None:
        database_failure = job.source_failure or "No database is named. Set homeserver_config or database."
    store_failure = _store_failure(job)
    now = time.time()
    settings = AuditSettings(
        root,
        database,
        None if store_failure else job.store,
        root_failure,
        database_failure,
        store_failure,
    )
    found = audit(settings, _Rule(job.settings, now), observe)
    status = Status(
        StoreLocation.of(job.store).name().partition("#")[0],
        job.media_path or "",
        found,
        migrate,
        _disk(root),
    )
    status.not_considered = [
        name for name in (LOCAL_CACHE_SIZE, MIN_FREE, MIN_BUCKET_AGE) if getattr(job.settings, name) is not None
    ]
    _look_at_provider(job, status)
    return status


def usage_of(job: StatusJob) -> tuple[dict[str, Any] | None, str | None]:
    """Whose media takes how much; or None, and why that cannot be said."""
    database = job.source.database if job.source is not None else None
    if database is None:
        return None, job.source_failure or "No database is named. Set homeserver_config or database."
    try:
        return rows_usage(database), None
    except MediaError as error:
        return None, str(error)


def prepare(job: StatusJob, user: str | None) -> pwd.struct_passwd | None:
    """The user to become, or None for no change. Raises ConfigurationError.

    Without a media store there is no owner to become; the status says so, and root may ask the rest.
    """
    if not user and (job.media_path is None or not Path(job.media_path).exists()):
        return None
    account = worker(user, job.media_path or "/", root_may_own=True)
    if account is not None:
        # The user may not be able to read those files.
        import_late(job.store)
    return account


def _root(job: StatusJob) -> tuple[str | None, str | None]:
    """The media store, or why it cannot be asked. A disk that is not mounted looks like one on which all is lost."""
    if job.source is None:
        if job.media_path is None:
            return None, job.source_failure
        source = Source(job.media_path)
    else:
        source = Source(job.source.media_path)
    try:
        root = media_store_root(source)
        if not is_media_store(Path(root)) and not _has_no_rows(job):
            return None, (
                f"{root} is no media store: it has none of Synapse's directories. Mount the disk it is on, or correct "
                "synapse_s3_media_path. If all its media is in the bucket, make an empty directory local_content in it."
            )
    except (MediaError, OSError) as error:
        return None, str(error)
    return root, None


def _has_no_rows(job: StatusJob) -> bool:
    """Whether the database is known to have no media: a new server has no directories either."""
    if job.source is None or job.source.database is None:
        return False
    try:
        with open_rows(job.source.database) as rows:
            return rows.empty()
    except MediaError:
        return False


def _store_failure(job: StatusJob) -> str | None:
    """Refuses to call media lost because the settings name another place than the one it was put into."""
    try:
        UsedLocation(job.settings.state_dir, job.store).check()
    except MediaError as error:
        return str(error)
    return None


class _Rule:
    """As a run of the migrate job on this host would decide."""

    def __init__(self, settings: OffloadSettings, now: float) -> None:
        self._rules = Rules(settings.older_than, settings.grace, settings.store_remote)
        self._owns = settings.shard.owns if settings.shard.count > 1 else None
        self._now = now

    def __call__(self, file: LocalFile, row: Row) -> str | None:
        if self._owns is not None and not self._owns(file.media):
            return OTHER_SHARD
        return reason_to_leave(file, row, self._rules, self._now)


def _disk(root: str | None) -> Disk:
    if root is None:
        return Disk()
    try:
        found = os.statvfs(root)
    except OSError:
        return Disk()
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def _look_at_provider(job: StatusJob, status: Status) -> None:
    if job.source is None or not job.source.processes:
        status.provider_problem = job.provider_failure
        return
    serving = [process for process in job.source.processes if process.serves_media]
    modules = {str(provider.module) for process in serving for provider in process.providers}
    status.providers = sorted(modules)
    try:
        check_provider(job.source, job.store, delete_local=True, enabled=job.settings.provider_check, rehearse=True)
    except ConfigurationError as error:
        status.provider_problem = str(error)
