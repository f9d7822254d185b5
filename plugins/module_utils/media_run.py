# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules that move media do around their runs: the right user, the journal, and the result for Ansible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.forked import call_as
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.journal import (
    ERROR,
    INFO,
    WARNING,
    Journal,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.process.signals import ignore_signals
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.job import RunJob
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.report import (
    Failure,
    RunReport,
    failure_line,
)

SHOWN_FAILURES = 5

Answer = dict[str, Any]
Attempt = Callable[[Callable[[Failure], None]], tuple[RunReport, int]]


def perform(job: RunJob[Any], user: str | None, identifier: str, attempt: Attempt) -> Answer:
    """Runs the job as the right user, with `attempt`, which is given what to call for each failure.

    It is logged to the journal under `identifier`, because the output of a module is not kept. Raises as `job.prepare`.
    """

    def run() -> Answer:
        journal = Journal(identifier)
        journal.write(job.started())
        report, status = attempt(lambda failure: journal.write(failure_line(failure), ERROR))
        for line in report.remarks():
            journal.write(line, WARNING)
        journal.write(report.summary(), ERROR if status else INFO)
        return _answer(report, status)

    account = job.prepare(user)
    return run() if account is None else call_as(account, run)


def refused(identifier: str, report: RunReport, status: int) -> Answer:
    """The answer of a run that an error has ended before it began."""
    Journal(identifier).write(str(report.error), ERROR)
    return _answer(report, status)


def _answer(report: RunReport, exit_status: int) -> Answer:
    return {"report": report.as_dict(), "diff": report.diff(), "exit_status": exit_status}


def exit_with(module: AnsibleModule, answer: Answer, done: str) -> None:
    """Ends the module with the result of a run. `done` is what becomes of a file, such as "moved"."""
    ignore_signals()
    result = answer["report"]
    for warning in result.pop("warnings", []):
        module.warn(warning)
    # Ansible takes a result with a value called "skipped" for a skipped task, and one called "failed" for a failure.
    result.update(
        failed_files=result.pop("failed"), skipped_files=result.pop("skipped"), exit_status=answer["exit_status"]
    )
    if module._diff:
        result["diff"] = answer["diff"]
    if answer["exit_status"]:
        module.fail_json(msg=_message(result, done), **result)
    module.exit_json(**result)


def _message(result: dict[str, Any], done: str) -> str:
    if "error" in result:
        return str(result["error"])
    named = "; ".join(f"{failure['path']}: {failure['error']}" for failure in result["failed_files"][:SHOWN_FAILURES])
    more = "; failed_files has more" if result["failures"] > SHOWN_FAILURES else ""
    return f"{result['failures']} files could not be {done}, the others were. {named}{more}"
