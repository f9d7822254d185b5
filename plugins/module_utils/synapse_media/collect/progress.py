# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the progress of a garbage collection says."""

from __future__ import annotations

from ..runs.progress import Progress, drawn, failures_of
from .report import Report


class CollectProgress(Progress[Report]):
    """How much of the bucket is compared; then, how much of what is due is done."""

    def moved(self, report: Report) -> tuple[int, int]:
        return report.done, 0

    def terminal_line(self, report: Report) -> str:
        return self.plain_line(report)

    def plain_line(self, report: Report) -> str:
        if report.undoes:
            return f"{report.restored.files} objects brought back{failures_of(report)}"
        if not report.planned:
            return f"{report.objects.files} objects compared, {report.orphans.files} without a row so far"
        due = report.due.files + report.trash_due.files
        return f"{drawn(report.done / due if due else 1.0)}, {report.done} of {due} objects{failures_of(report)}"
