# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run as the command line and the modules ask for it, before it starts, and how it ended."""

from __future__ import annotations

import contextlib
import importlib
import os
import pwd
import signal
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from ..disk.state_directory import make_state_dir
from ..errors import ConfigurationError, MediaError
from ..process.environment import apply, run_environment
from ..process.privileges import worker
from ..process.signals import Stopped
from ..settings.source import Source
from ..settings.store import StoreSettings
from .report import RunReport


class HasStateDirectory(Protocol):
    @property
    def state_dir(self) -> str: ...


S = TypeVar("S", bound=HasStateDirectory)
R = TypeVar("R", bound=RunReport)


@dataclass(frozen=True)
class RunJob(ABC, Generic[S]):
    """One run as it was asked for."""

    source: Source
    store: StoreSettings
    settings: S
    rehearse: bool

    def prepare(self, user: str | None) -> pwd.struct_passwd | None:
        """Makes what only root may make. Returns the user to become for the run, or None for no change."""
        account = worker(user, self.source.media_path, root_may_own=True)
        if account is not None:
            import_late(self.store)
        if not self.rehearse:
            make_state_dir(self.settings.state_dir, account)
        return account

    @abstractmethod
    def started(self) -> str:
        """The line for the journal at the start of a run."""

    @property
    def location(self) -> str:
        """The location of the media in S3, in words."""
        return f"the bucket {self.store.bucket}{f', prefix {self.store.prefix}' if self.store.prefix else ''}"


def import_late(store: StoreSettings) -> None:
    """Imports what is otherwise imported late: the user of the run may not be able to read those files."""
    names = ["encodings.idna", "urllib.request"]
    if not (store.access_key_id and store.endpoint_url):
        names.append(f"{__package__.rpartition('.')[0]}.s3.boto.client")
    for name in names:
        # Code that needs a missing one reports that itself.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def attempt_run(job: RunJob[Any], report: R, run: Callable[[], None]) -> tuple[R, int]:
    """Calls `run`, which fills the report, and returns the report and the exit status, whatever happens.

    The user is the right one already.
    """
    # An AWS_PROFILE or a PGHOST in the caller's shell must not change where the run reads or writes.
    apply(run_environment(os.environ, job.store, None))
    try:
        run()
    except (Exception, Stopped, KeyboardInterrupt) as error:
        return failed(error, report)
    return report, 1 if report.failures else 0


def failed(error: BaseException, report: R) -> tuple[R, int]:
    """The report of a run that ended with this error, and its exit status."""
    report.error = words(error, report.after_stop)
    report.exception = traceback_of(error)
    return report, exit_status(error, report)


def exit_status(error: BaseException, report: RunReport) -> int:
    """The exit status of the process. If anything was moved, it is not the one for "refused, nothing done"."""
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    status = int(getattr(error, "exit_status", 1))
    moved = report.changed and not report.dry_run
    return 1 if status == ConfigurationError.exit_status and moved else status


def words(error: BaseException, after_stop: str = RunReport.after_stop) -> str:
    """What a report says of the error that ended its run."""
    if isinstance(error, (Stopped, KeyboardInterrupt)):
        return f"Stopped by {str(error) or signal.SIGINT.name}. {after_stop}"
    return str(error) if isinstance(error, MediaError) else f"{type(error).__name__}: {error}"


def traceback_of(error: BaseException) -> str | None:
    """Of a bug, which it helps to find."""
    if isinstance(error, (MediaError, Stopped, KeyboardInterrupt)):
        return None
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
