# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports for Ansible, for JSON and for a journal agree, and are bounded."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.reporting import SHOWN, Diff
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.report import (
    KEPT,
    Problems,
    StepFailedError,
    UpdateDbResult,
    UploadResult,
    combined,
    report_of_error,
    report_of_result,
    summary_line,
)


def test_a_long_diff_is_cut_with_a_note() -> None:
    diff = Diff()
    for number in range(SHOWN):
        diff.add(f"p{number:03d}", "on disk", "in the bucket")
    diff.add_uncounted(42)
    shown = diff.as_dict()
    assert shown["before"].startswith("p000: on disk\n") and shown["before"].endswith("... and 42 more\n")
    assert len(shown["after"].splitlines()) == SHOWN + 1


def test_an_empty_diff_is_empty() -> None:
    assert Diff().as_dict()["before"] == Diff().as_dict()["after"] == ""


def test_problems_are_bounded_but_counted() -> None:
    problems = Problems()
    for number in range(KEPT + 5):
        problems.add(f"p{number}", "is in the way")
    more = Problems()
    more.extend(problems)
    assert (len(more), len(more.as_list())) == (KEPT + 5, KEPT)
    assert str(more).startswith("p0 (is in the way); ") and str(more).endswith(f"; and {KEPT} more")


def test_a_path_that_cannot_be_printed_is_escaped() -> None:
    problems = Problems()
    problems.add("line\nbreak", "odd")
    assert str(problems) == "'line\\nbreak' (odd)"


def test_result() -> None:
    report = report_of_result(UpdateDbResult(rows_synced=0, rows_reoffered=2))
    assert report.pop("diff")["before"] == ""
    assert report == {"changed": True, "rows_synced": 0, "rows_reoffered": 2}


def test_a_failure_reports_what_was_done_before() -> None:
    done = UploadResult(files_uploaded=3, bytes_uploaded=30, failed_files=[{"path": "p", "error": "e"}])
    report = report_of_error(StepFailedError("upload failed: e", "e", ["last line"], done))
    assert (report["failed"], report["changed"], report["files_uploaded"]) == (True, True, 3)
    assert (report["msg"], report["script_lines"]) == ("upload failed: e", ["last line"])
    assert "exception" not in report


def test_a_refusal_has_only_its_message() -> None:
    assert report_of_error(ConfigurationError("No. Do this.")) == {
        "failed": True,
        "changed": False,
        "msg": "No. Do this.",
        "error": "ConfigurationError",
    }


def test_a_programming_error_has_its_traceback() -> None:
    with pytest.raises(KeyError) as caught:
        os.environ["NO_SUCH_VARIABLE"]
    report = report_of_error(caught.value)
    assert report["msg"] == "KeyError: 'NO_SUCH_VARIABLE'" and "test_upstream_report.py" in report["exception"]


def test_summary_of_three_steps() -> None:
    steps: dict[str, dict[str, Any]] = {
        "update-db": {"changed": True, "rows_synced": 12, "rows_reoffered": 1},
        "check-deleted": {"changed": True, "marked_deleted": 2},
        "upload": {
            "changed": True,
            "marked_deleted": 3,
            "media_total": 11,
            "files_uploaded": 4,
            "bytes_uploaded": 5 * 1024,
            "files_deleted": 3,
            "bytes_deleted": 3 * 1024**3,
            "left_alone": ["p"],
        },
    }
    assert summary_line(combined(steps, False, 1.25)) == (
        "12 rows added, 1 offered again, 5 no longer on disk; "
        "4 files (5.0 KiB) uploaded, 3 files (3.0 GiB) deleted; 1.2 s; 1 files left for the next run"
    )
    dry = summary_line(combined(steps, True, 1))
    assert "12 rows would be added" in dry and "3 files (3.0 GiB) would be deleted" in dry


def test_summary_of_a_failure() -> None:
    steps = {"update-db": {"changed": True, "rows_synced": 12}, "error": report_of_error(ConfigurationError("No."))}
    report = combined(steps, False, 1)
    assert summary_line(report).startswith("failed after: 12 rows added")
    assert (report["failed"], report["changed"], report["msg"]) == (True, True, "No.")
