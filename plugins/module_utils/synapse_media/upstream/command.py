# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One command of upstream's script from start to end, as the module runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..disk.state_directory import make_state_dir
from ..errors import ConfigurationError
from ..process.forked import call_as
from ..process.privileges import worker
from ..settings.provider_check import check_provider
from .cache_update import check_deleted, update_db
from .job import Job, JobSettings, open_job
from .report import StepResult, report_of_error, report_of_result
from .upload import upload

COMMANDS = ("update-db", "check-deleted", "upload")


@dataclass(frozen=True)
class Command:
    name: str
    older_than: str = "1d"
    delete: bool = False
    provider_check: bool = True


def perform(command: Command, settings: JobSettings, user: str | None) -> dict[str, Any]:
    """Return a report for exit_json or fail_json. Raises only if nothing could be started."""
    unchecked = check_synapse(command, settings)
    report = _perform(command, settings, user)
    return {**report, "warnings": [unchecked]} if unchecked else report


def check_synapse(command: Command, settings: JobSettings) -> str | None:
    """Refuse to delete media that Synapse could not read from S3; return a warning if that was not checked."""
    if settings.store is None:
        return None
    return check_provider(
        settings.source,
        settings.store,
        delete_local=command.delete,
        enabled=command.provider_check,
        rehearse=settings.rehearse,
    )


def _perform(command: Command, settings: JobSettings, user: str | None) -> dict[str, Any]:
    account = worker(user, settings.source.media_path)
    if not settings.rehearse:
        make_state_dir(settings.state_dir, account)
    if account is None:
        return _report(command, settings)
    return call_as(account, lambda: _report(command, settings))


def run_step(job: Job, command: Command) -> StepResult:
    if command.name == "update-db":
        return update_db(job, command.older_than)
    if command.name == "check-deleted":
        return check_deleted(job)
    if job.store is None:
        raise ConfigurationError(
            "upload needs a bucket. Set synapse_s3_bucket to the name of the bucket for the media."
        )
    return upload(job, job.store, delete=command.delete)


def _report(command: Command, settings: JobSettings) -> dict[str, Any]:
    try:
        with open_job(settings) as job:
            return report_of_result(run_step(job, command))
    except Exception as error:
        return report_of_error(error)
