# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run moves, in the two halves that Ansible's diff mode shows."""

from __future__ import annotations

from ..reporting import Diff
from .report import DELETED, REPAIRED, UPLOADED, Report


def diff_of(report: Report) -> dict[str, str]:
    """The first files with their state before and after, of a report that has kept names."""
    diff = Diff()
    for path, outcomes in report.names.items():
        name = path if path.isprintable() else ascii(path)
        if UPLOADED in outcomes:
            before = "on disk"
        elif REPAIRED in outcomes:
            before = "on disk, and another content in the bucket"
        else:
            before = "on disk and in the bucket"
        diff.add(name, before, "in the bucket" if DELETED in outcomes else "on disk and in the bucket")
    # Names are kept of the first files only. A file that was uploaded and deleted counts once.
    moved = max(report.uploaded.files + report.repaired.files, report.deleted.files)
    diff.add_uncounted(max(0, moved - len(report.names)))
    return diff.as_dict()
