# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lock excludes a second run exactly as long as a run is active."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.lock import RunLock
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    LockedError,
)


def test_a_second_run_is_told_which_process_holds_the_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with (
        RunLock(path),
        pytest.raises(LockedError, match=rf"process {os.getpid()}\).*Wait until it has ended") as caught,
    ):
        RunLock(path).__enter__()
    assert caught.value.exit_status == 3


def test_the_next_run_gets_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    for dummy in range(2):
        with RunLock(path):
            assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_shards_run_side_by_side_but_not_beside_a_run_without_shards(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    holder = f"""if True:
        from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.lock import RunLock
        with RunLock({path!r}, part=2):
            print("held", flush=True)
            input()
    """
    with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        with RunLock(path, part=1), RunLock(path, part=3):
            pass
        for part in (2, None):
            with pytest.raises(LockedError):
                RunLock(path, part=part).__enter__()
        child.communicate(b"\n")
    with RunLock(path), pytest.raises(LockedError):
        RunLock(path, part=2).__enter__()
    with RunLock(path, part=2):
        pass


def test_a_child_that_outlives_its_parent_keeps_the_lock(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with RunLock(path) as lock:
        assert lock.descriptor is not None
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[lock.descriptor])
    try:
        with pytest.raises(LockedError):
            RunLock(path).__enter__()
    finally:
        child.communicate(b"\n")
    with RunLock(path):
        pass


def test_a_dry_run_creates_no_lock_file_but_respects_a_run(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with RunLock(path, create=False) as lock:
        assert lock.descriptor is None
    assert not (tmp_path / "lock").exists()
    with RunLock(path), pytest.raises(LockedError):
        RunLock(path, create=False).__enter__()
    before = (tmp_path / "lock").read_text()
    with RunLock(path, create=False):
        pass
    assert (tmp_path / "lock").read_text() == before


def test_a_link_in_place_of_the_lock_file_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        RunLock(str(tmp_path / "lock")).__enter__()
    assert victim.read_text() == "precious"


def test_the_lock_can_be_taken_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "lock"
    path.touch()
    monkeypatch.setattr(os, "pwrite", refuse)
    with RunLock(str(path)), pytest.raises(LockedError, match="Another run"), RunLock(str(path)):
        pass
