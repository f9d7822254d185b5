# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Results and errors as plain values, for JSON and for Ansible."""

from __future__ import annotations

import traceback
from typing import Any

from ..errors import MediaError, ScriptError
from .results import StepFailedError, StepResult


def report_of_result(result: StepResult) -> dict[str, Any]:
    return {"changed": result.changed, **result.counts(), "diff": result.diff.as_dict()}


def report_of_error(error: Exception) -> dict[str, Any]:
    """Include what was done before the error: a failed run may have uploaded half of the files."""
    report: dict[str, Any] = {"failed": True, "changed": False, "msg": str(error), "error": type(error).__name__}
    if isinstance(error, StepFailedError) and error.result is not None:
        report.update(changed=error.result.changed, **error.result.counts())
    if isinstance(error, ScriptError):
        report["script_lines"] = error.lines
    if not isinstance(error, MediaError):
        # A programming error: only the traceback helps.
        report["msg"] = f"{type(error).__name__}: {error}"
        report["exception"] = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return report
