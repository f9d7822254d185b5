# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the progress of a restore says."""

from __future__ import annotations

from ..runs.progress import Progress, drawn, failures_of
from ..settings.units import in_words
from .report import Report


class RestoreProgress(Progress[Report]):
    """How much of what is missing has come back."""

    def moved(self, report: Report) -> tuple[int, int]:
        return report.restored.files, report.received

    def terminal_line(self, report: Report) -> str:
        return self.plain_line(report)

    def plain_line(self, report: Report) -> str:
        missing = report.missing
        if report.free_bytes is None:
            return f"{report.selected.files} files compared, {missing.files} missing so far{failures_of(report)}"
        share = min(report.received / missing.bytes, 1.0) if missing.bytes else 1.0
        return (
            f"{drawn(share)}, {in_words(self.rates()[1])}/s{failures_of(report)}, "
            f"{report.restored.files} of {missing.files} files, "
            f"{in_words(report.received)} of {in_words(missing.bytes)}"
        )
