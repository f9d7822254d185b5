# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a media are those that the script would find, without any that must not be touched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    LOCAL,
    REMOTE,
    Media,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream import candidates
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.plan import UNKNOWN, Plan

OURS = Media(LOCAL, "", "AbCdEfGhIjKl")
THEIRS = Media(REMOTE, "example.org", "ZyXwVuTsRqPo")


def put(root: Path, path: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"content")
    return file


def listed(root: Path, *media: Media, deleting: bool = True) -> tuple[list[str], candidates.Findings]:
    with Plan(root.parent / "plan.db") as plan:
        findings = candidates.list_candidates(str(root), media, plan, deleting=deleting)
        return [file.path for file in plan.files(UNKNOWN)], findings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "media_store"
    directory.mkdir()
    return directory


def test_originals_and_thumbnails(root: Path) -> None:
    paths = [
        "local_content/Ab/Cd/EfGhIjKl",
        "local_thumbnails/Ab/Cd/EfGhIjKl/32-32-image-png-crop",
        "local_thumbnails/Ab/Cd/EfGhIjKl/96-96-image-png-crop",
        "remote_thumbnail/example.org/Zy/Xw/VuTsRqPo/32-32-image-png-crop",
    ]
    for path in paths:
        put(root, path)
    put(root, "local_thumbnails/Ab/Cd/EfGhIjKl/directory/deeper")
    put(root, "local_content/Ab/Cd/another")
    found, findings = listed(root, OURS, THEIRS, Media(LOCAL, "", "NothingOnDisk"))
    assert found == paths
    assert (findings.media, findings.media_without_files) == (3, 1)
    assert findings.some_without_files == ["local_content/No/th/ingOnDisk"]
    assert not findings.refused and not findings.blocked and not findings.hidden


@pytest.mark.parametrize("path", ["local_content/Ab/Cd/EfGhIjKl", "local_thumbnails/Ab/Cd/EfGhIjKl/32-32"])
def test_anything_but_a_regular_file_is_refused(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True)
    os.mkfifo(root / path)
    found, findings = listed(root, OURS)
    assert (found, [problem.path for problem in findings.refused]) == ([], [path])


def test_names_that_s3_does_not_allow(root: Path) -> None:
    put(root, os.fsdecode(b"local_thumbnails/Ab/Cd/EfGhIjKl/\xff"))
    found, findings = listed(root, OURS)
    assert found == []
    assert "not UTF-8" in str(findings.refused) and str(findings.refused).isprintable()


def test_a_link_in_the_path_is_reported_once_as_a_link(root: Path, tmp_path: Path) -> None:
    put(tmp_path, "elsewhere/Cd/EfGhIjKl")
    (root / "local_content").mkdir()
    (root / "local_content/Ab").symlink_to(tmp_path / "elsewhere")
    found, findings = listed(root, OURS)
    assert (found, [problem.path for problem in findings.refused]) == ([], ["local_content/Ab"])
    assert findings.media_without_files == 0


def test_a_dangling_link_is_reported(root: Path) -> None:
    (root / "local_content/Ab/Cd").mkdir(parents=True)
    (root / "local_content/Ab/Cd/EfGhIjKl").symlink_to("/nowhere")
    findings = listed(root, OURS)[1]
    assert len(findings.refused) == 1


def test_recent_files_are_left_for_later(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    file = put(root, "local_content/Ab/Cd/EfGhIjKl")
    with Plan(root.parent / "plan.db") as plan:
        assert candidates.wait_until_settled(plan) is False
        candidates.list_candidates(str(root), [OURS], plan, deleting=True)
        assert candidates.wait_until_settled(plan) is True
        assert 0 < waited[0] <= candidates.SETTLE_SECONDS
        hour_ahead = time.time() + 3600
        os.utime(file, (hour_ahead, hour_ahead))
        plan.clear()
        candidates.list_candidates(str(root), [OURS], plan, deleting=True)
        assert candidates.wait_until_settled(plan) is True
        assert waited[1] == candidates.SETTLE_SECONDS
        os.utime(file, (0, 0))
        plan.clear()
        candidates.list_candidates(str(root), [OURS], plan, deleting=True)
        assert candidates.wait_until_settled(plan) is False
