# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file is written completely or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.state_directory import (
    write_whole,
)


def test_replaces_the_file_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    path.chmod(0o666)
    write_whole(path, "after\n")
    assert path.read_text() == "after\n" and path.stat().st_mode & 0o777 == 0o600
    write_whole(path, "for all\n", 0o644)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError, match=r"[Dd]irectory"):
        write_whole(path, "text")
    assert list(tmp_path.iterdir()) == [path]
