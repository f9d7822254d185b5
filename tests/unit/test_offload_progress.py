# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress: correct figures, and clean output on a terminal and in a journal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.progress import (
    FileCount,
    OffloadProgress,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import (
    UPLOADED,
    VERIFIED,
    Report,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs import progress as module
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.report import (
    Failure,
    failure_line,
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def shown(self) -> str:
        """Return the last line as shown: each drawing starts at the left edge and clears the rest of the line."""
        return self.getvalue().rpartition("\n")[2].rpartition("\r")[2].replace("\x1b[K", "")


class Clock:
    """Replaces the module `time` in the module under test only."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def counted(total: int, shards: int = 1) -> FileCount:
    count = FileCount("/nowhere", shards)
    count.total = total
    return count


def move(report: Report, files: int, size: int = 1024) -> None:
    for dummy in range(files):
        report.scanned.add(size)
        report.done(UPLOADED, "path", size)


def test_the_bar_has_rate_and_time_left(clock: Clock) -> None:
    terminal, report = Terminal(), Report()
    progress = OffloadProgress(terminal, "program", counted(100))
    progress.observe(report)
    assert "time left unknown" in terminal.shown()
    clock.now += 5
    move(report, 50)
    progress.observe(report)
    assert terminal.shown() == (
        "[##########----------]  50%, 10 files/s, 10.0 KiB/s, 0:00:05 left, 50 of 100 files, 50.0 KiB moved"
    )
    clock.now += 5
    move(report, 50)
    report.fail("a", "a", "no")
    progress.observe(report)
    assert "100%, 10 files/s" in terminal.shown() and "0:00:00 left, 1 failed" in terminal.shown()
    progress.clear()
    assert terminal.shown() == "" and "\n" not in terminal.getvalue()


def test_the_rate_is_that_of_the_last_seconds(clock: Clock) -> None:
    terminal, report = Terminal(), Report()
    progress = OffloadProgress(terminal, "program", counted(100_000))
    move(report, 5000)
    for dummy in range(120):
        clock.now += 0.5
        move(report, 1)
        progress.observe(report)
    assert "2 files/s" in terminal.shown()
    assert "13:10:40" in terminal.shown(), terminal.shown()


def test_files_already_in_the_bucket_count_as_handled_not_as_moved(clock: Clock) -> None:
    terminal, report = Terminal(), Report()
    progress = OffloadProgress(terminal, "program")
    report.scanned.add(5)
    report.scanned.add(5)
    report.done(VERIFIED, "a", 5)
    report.skip("recent", 5)
    clock.now += 1
    progress.observe(report)
    assert terminal.shown() == "2 of 2 files found so far handled, 0 B moved, 2 files/s, 0 B/s"


def test_eighty_columns_show_rate_and_time_left(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    terminal, report = Terminal(), Report()
    progress = OffloadProgress(terminal, "program", counted(1_000_000))
    clock.now += 1
    move(report, 2000, 1024 * 1023)
    progress.observe(report)
    assert len(terminal.shown()) == 79
    assert "2000 files/s, 2.0 GiB/s, 0:08:19 left, 2000 of" in terminal.shown()


def test_a_narrow_terminal_gets_one_line(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    OffloadProgress(terminal, "program", counted(10)).observe(Report())
    assert len(terminal.shown()) == 39


def test_other_output_is_not_overwritten(clock: Clock) -> None:
    terminal = Terminal()
    progress = OffloadProgress(terminal, "program")
    progress.observe(Report())
    progress.write("program: a failed")
    progress.observe(Report())
    lines = terminal.getvalue().split("\n")
    assert lines[0].endswith("\r\x1b[Kprogram: a failed") and "handled" in terminal.shown()


def test_a_journal_gets_a_line_at_intervals(clock: Clock) -> None:
    journal, report = io.StringIO(), Report()
    progress = OffloadProgress(journal, "program")
    for dummy in range(240):
        move(report, 1)
        clock.now += 0.25
        progress.observe(report)
    lines = journal.getvalue().splitlines()
    assert len(lines) == 2 and all(
        re.match(r"program: \d+ of \d+ files .* 4 files/s, 4.0 KiB/s$", line) for line in lines
    )
    assert "\r" not in journal.getvalue() and "\x1b" not in journal.getvalue()


def test_files_are_counted_in_advance(tmp_path: Path) -> None:
    for path in ("local_content/AA/BB/a", "local_content/AA/BB/b", "remote_thumbnail/o/AA/BB/c/32-32", "url_cache/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "local_thumbnails").symlink_to("local_content")
    (tmp_path / "local_content/link").symlink_to("AA")
    count = FileCount(str(tmp_path))
    assert count.total is None
    count.start().join()
    # Three files, and a link that the run will report.
    assert count.total == 4
    shared = FileCount(str(tmp_path), 2)
    shared.start().join()
    assert shared.total == 2


def test_a_line_break_in_a_name_is_escaped() -> None:
    assert failure_line(Failure("a/b", "a/b", "no")) == "a/b: no"
    line = failure_line(Failure("a\x1b[2J\nb\udcff", "k", "no"))
    assert line.isprintable() and line.encode("ascii")
