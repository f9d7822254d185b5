# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wrong settings are refused before any change, each with its cause and remedy."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import FIRST_LEVEL
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.metrics import (
    check_metrics_file,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.runs.preflight import (
    check_content,
    check_state_dir,
    media_store_root,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.source import Source

CONTENT = "local_content/AA/BB/rest"


class KnownRows:
    """A database that only knows whether it has rows."""

    def __init__(self, empty: bool) -> None:
        self._empty = empty

    def empty(self) -> bool:
        return self._empty


SOME: Any = KnownRows(empty=False)
NONE: Any = KnownRows(empty=True)


def put(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True)
    (root / path).write_bytes(b"x")


def test_a_link_to_the_media_store_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "media_store").symlink_to("disk")
    assert media_store_root(Source(str(tmp_path / "media_store"))) == str(tmp_path / "disk")


@pytest.mark.parametrize("path", ["absent", "file", "dangling", "file/below"])
def test_a_media_store_that_is_not_a_directory(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("absent")
    words = r"is no directory" if path == "file" else r"does not exist"
    with pytest.raises(ConfigurationError, match=rf"media store .*{path} {words}.*synapse_s3_media_path"):
        media_store_root(Source(str(tmp_path / path)))


def test_a_directory_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"cannot be read .*synapse_s3_synapse_user"):
        media_store_root(Source(str(tmp_path)))


def test_synapse_without_local_media_storage(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"enable_local_media_storage is false.*Remove the timer"):
        media_store_root(Source(str(tmp_path), keeps_local_media=False))


@pytest.mark.parametrize("name", [*FIRST_LEVEL, "mark"])
def test_a_media_store_is_recognised(tmp_path: Path, name: str) -> None:
    if name == "mark":
        (tmp_path / ".synapse-s3").touch()
    else:
        (tmp_path / name).mkdir()
    for rows in (SOME, NONE):
        check_content(str(tmp_path), rows)


@pytest.mark.parametrize("others", [(), ("lost+found",), ("local_contents", "photos")])
def test_a_directory_that_is_not_a_media_store(tmp_path: Path, others: tuple[str, ...]) -> None:
    for name in others:
        (tmp_path / name).mkdir()
    (tmp_path / "url_cache").touch()
    with pytest.raises(ConfigurationError, match=r"is no media store.*Mount the disk.*empty directory local_content"):
        check_content(str(tmp_path), SOME)


def test_a_new_server_may_have_an_empty_directory(tmp_path: Path) -> None:
    check_content(str(tmp_path), NONE)
    (tmp_path / "lost+found").mkdir()
    check_content(str(tmp_path), NONE)
    (tmp_path / "photos").mkdir()
    with pytest.raises(ConfigurationError, match="is no media store"):
        check_content(str(tmp_path), NONE)


def test_an_empty_database_beside_a_full_disk(tmp_path: Path) -> None:
    put(tmp_path, CONTENT)
    check_content(str(tmp_path), SOME)
    with pytest.raises(ConfigurationError, match=r"knows of no media at all.*synapse_s3_database"):
        check_content(str(tmp_path), NONE)


def test_the_state_directory_is_checked_and_left_unchanged(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    check_state_dir(str(tmp_path), rehearse=False)
    assert list(tmp_path.iterdir()) == []
    check_state_dir(str(tmp_path / "absent"), rehearse=True)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        check_state_dir(str(tmp_path / "absent"), rehearse=False)
    tmp_path.chmod(0o777)
    for rehearse in (True, False):
        with pytest.raises(ConfigurationError, match=r"Others may write .*chmod 0700"):
            check_state_dir(str(tmp_path), rehearse=rehearse)


def test_a_state_directory_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullFile:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *exception: object) -> None:
            pass

        def write(self, content: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    tmp_path.chmod(0o700)
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **dummy: FullFile())
    with pytest.raises(ConfigurationError, match=r"No space left.*Free space there.*synapse_s3_migrate_state_dir"):
        check_state_dir(str(tmp_path), rehearse=False)
    check_state_dir(str(tmp_path), rehearse=True)
    # All files that the run writes exist already; the run itself frees the disk.
    (tmp_path / "lock").touch()
    (tmp_path / "location").touch()
    check_state_dir(str(tmp_path), rehearse=False)
    check_metrics_file(str(tmp_path / "offload.prom"))


def test_a_metrics_file_that_cannot_be_written(tmp_path: Path) -> None:
    check_metrics_file(None)
    check_metrics_file(str(tmp_path / "offload.prom"))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match="which is a directory"):
        check_metrics_file(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"cannot be written to .No such file.*leave metrics_file out"):
        check_metrics_file(str(tmp_path / "absent/offload.prom"))
