# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is replaced is the old one or the new one, also after a power cut."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import Access
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.writer import replace
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.durable_file import (
    write_durably,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.state_directory import (
    write_whole,
)


class Trace:
    """What reaches the kernel of a file that is replaced, in its order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        sync, rename = os.fsync, Path.replace

        def fsync(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            mode = f"mode {stat.S_IMODE(path.stat().st_mode):04o}"
            self.calls.append("sync directory" if path.is_dir() else f"sync {path.read_text()} with {mode}")
            sync(descriptor)

        def replace(source: Path, target: Path) -> Path:
            self.calls.append("rename")
            return rename(source, target)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "replace", replace)


def test_content_and_mode_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no order in which the disk may take what is between two syncs leaves a part of a file."""
    trace = Trace(monkeypatch)
    checks: list[int] = []
    write_durably(
        tmp_path / "file", b"text", lambda temporary: temporary.chmod(0o640), lambda: checks.append(len(trace.calls))
    )
    assert trace.calls == ["sync text with mode 0640", "rename", "sync directory"]
    # As late as possible: somebody else may change the file while this one is synced.
    assert checks == [1]


def test_records_and_configurations_are_written_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = Trace(monkeypatch)
    write_whole(tmp_path / "file", "text")
    replace(str(tmp_path / "file"), b"new", Access(0o640, os.geteuid(), os.getegid()), b"text")
    assert trace.calls == [
        "sync text with mode 0600",
        "rename",
        "sync directory",
        "sync new with mode 0640",
        "rename",
        "sync directory",
    ]


def test_a_refusal_just_before_the_rename_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")

    def refuse() -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_durably(tmp_path / "file", b"after", lambda temporary: temporary.chmod(0o600), refuse)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
