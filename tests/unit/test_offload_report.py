# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a run: every file is in one category, and any number of failures takes bounded memory."""

from __future__ import annotations

import json

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload import report as module
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import (
    DELETED,
    REPAIRED,
    UPLOADED,
    VERIFIED,
    Report,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs import report as shared
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.report import Failure


def test_counts_files_and_bytes() -> None:
    report = Report()
    assert not report.changed and report.handled == 0
    for size in (10, 20, 30, 40, 50):
        report.scanned.add(size)
    report.done(UPLOADED, "a", 10)
    report.done(DELETED, "a", 10)
    report.done(REPAIRED, "b", 20)
    report.done(VERIFIED, "c", 30)
    report.skip("recent", 40)
    report.fail("e", "prefix/e", "it is unreadable")
    report.requests = {"put": 2, "list": 1}
    report.seconds = 1.23456
    assert report.handled == report.scanned.files == 5
    assert json.loads(json.dumps(report.as_dict())) == {
        "changed": True,
        "dry_run": False,
        "scanned": {"files": 5, "bytes": 150},
        "uploaded": {"files": 1, "bytes": 10},
        "verified": {"files": 1, "bytes": 30},
        "repaired": {"files": 1, "bytes": 20},
        "deleted": {"files": 1, "bytes": 10},
        "skipped": {"recent": {"files": 1, "bytes": 40}},
        "failed": [{"path": "e", "key": "prefix/e", "error": "it is unreadable"}],
        "failures": 1,
        "removed_directories": 0,
        "requests": {"list": 1, "put": 2},
        "database_rows": 0,
        "seconds": 1.235,
    }


@pytest.mark.parametrize(
    ("outcome", "changed"), [(UPLOADED, True), (REPAIRED, True), (DELETED, True), (VERIFIED, False)]
)
def test_proving_alone_reports_no_change(outcome: str, changed: bool) -> None:
    report = Report()
    report.done(outcome, "a", 0)
    assert report.changed is changed


def test_an_upload_counts_before_it_is_proven() -> None:
    report = Report()
    report.sent.bytes += 5
    assert not report.changed and report.moved_bytes == 5 and report.handled == 0
    report.sent.files += 1
    assert report.changed and report.handled == 1
    report.done(UPLOADED, "a", 5)
    assert report.handled == 1 and report.moved_bytes == 5
    report.done(UPLOADED, "b", 7)
    assert report.handled == 2 and report.moved_bytes == 12


def test_an_error_is_in_the_report() -> None:
    report = Report(dry_run=True)
    report.error = "The bucket is gone. Make it."
    assert report.as_dict()["error"] == "The bucket is gone. Make it." and report.as_dict()["dry_run"] is True
    assert "exception" not in report.as_dict() and "warnings" not in report.as_dict()


def test_all_failures_are_counted_but_only_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "KEPT_FAILURES", 3)
    heard: list[Failure] = []
    report = Report(on_failure=heard.append)
    for number in range(5):
        report.fail(f"{number}", f"{number}", "no")
    assert [failure.path for failure in heard] == ["0", "1", "2", "3", "4"]
    assert (report.failures, len(report.as_dict()["failed"])) == (5, 3)


def test_names_are_kept_on_request_with_all_their_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_NAMES", 3)
    report, plain = Report(keep_names=True), Report()
    for each in (report, plain):
        for path in ("new", "other", "there", "left out"):
            each.done({"new": UPLOADED, "other": REPAIRED, "left out": UPLOADED}.get(path, VERIFIED), path, 1)
        for path in ("new", "there", "left out"):
            each.done(DELETED, path, 1)
    assert plain.names == {}
    assert report.names == {"new": [UPLOADED, DELETED], "other": [REPAIRED], "left out": [UPLOADED, DELETED]}
    assert report.diff()["before"].splitlines() == [
        "new: on disk",
        "other: on disk, and another content in the bucket",
        "left out: on disk",
    ]
    assert report.diff()["after"].splitlines() == [
        "new: in the bucket",
        "other: on disk and in the bucket",
        "left out: in the bucket",
    ]


def test_a_line_break_in_a_name_does_not_break_the_diff() -> None:
    report = Report(keep_names=True)
    report.done(DELETED, "a\nb", 1)
    assert report.diff()["before"] == "'a\\nb': on disk and in the bucket\n"
