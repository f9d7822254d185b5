# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run as the command line and the module ask for it: the right user, one report, a true exit status."""

from __future__ import annotations

import contextlib
import importlib
import os
import pwd
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from ..disk.state_directory import make_state_dir
from ..errors import MediaError
from ..process.environment import apply, run_environment
from ..process.privileges import worker
from ..process.signals import Stopped
from ..settings.config import SourceSettings
from ..settings.source import Source, resolve
from ..settings.store import StoreSettings
from .engine import Observer, exit_status, run, words
from .report import Failure, Report
from .settings import OffloadSettings


@dataclass(frozen=True)
class Job:
    """One run as it was asked for, on the command line or by the module."""

    source: Source
    store: StoreSettings
    settings: OffloadSettings
    rehearse: bool

    def prepare(self, user: str | None) -> pwd.struct_passwd | None:
        """Makes what only root may make. Returns the user to become for the run, or None for no change."""
        account = worker(user, self.source.media_path, root_may_own=True)
        if account is not None:
            import_late(self.store)
        if not self.rehearse:
            make_state_dir(self.settings.state_dir, account)
        return account


def import_late(store: StoreSettings) -> None:
    """Imports what is otherwise imported late: the user of the run may not be able to read those files."""
    names = ["encodings.idna", "urllib.request"]
    if not (store.access_key_id and store.endpoint_url):
        names.append(f"{__package__.rpartition('.')[0]}.s3.boto.client")
    for name in names:
        # Code that needs a missing one reports that itself.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def job_of(source: SourceSettings, store: StoreSettings, settings: OffloadSettings, *, rehearse: bool) -> Job:
    """Fills in what Synapse's configuration says. Raises ConfigurationError."""
    deletes = settings.delete_local and settings.provider_check
    return Job(resolve(source, read_always=True, with_processes=deletes), store, settings, rehearse)


def attempt(
    job: Job,
    *,
    observe: Observer | None = None,
    keep_names: bool = False,
    on_failure: Callable[[Failure], None] | None = None,
) -> tuple[Report, int]:
    """Runs the job, and returns the report and the exit status, whatever happens. The user is the right one already."""
    # An AWS_PROFILE or a PGHOST in the caller's shell must not change where the run reads or writes.
    apply(run_environment(os.environ, job.store, None))
    try:
        report = run(
            job.source,
            job.store,
            job.settings,
            rehearse=job.rehearse,
            observe=observe,
            keep_names=keep_names,
            on_failure=on_failure,
        )
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, rehearse=job.rehearse)
    return report, 1 if report.failures else 0


def failed(error: BaseException, *, rehearse: bool) -> tuple[Report, int]:
    """The report that an error carries, or an empty one for an error before the run."""
    report = getattr(error, "report", None)
    if not isinstance(report, Report):
        report = Report(dry_run=rehearse)
        report.error = words(error)
    if not isinstance(error, (MediaError, Stopped, KeyboardInterrupt)):
        # A bug: the traceback is what helps.
        report.exception = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return report, exit_status(error, report)


def started(job: Job) -> str:
    """The line for the journal at the start of a run."""
    location = f"the bucket {job.store.bucket}{f', prefix {job.store.prefix}' if job.store.prefix else ''}"
    return f"{'dry run' if job.rehearse else 'run'} started by Ansible: {job.source.media_path} to {location}"
