# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only a file system that no other host can write to counts as local; anything unknown does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import file_systems

MOUNTS = """\
24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
25 24 0:44 / /srv/media rw,relatime shared:2 master:3 - nfs4 server:/media rw,vers=4.2
26 24 0:45 / /srv/with\\040space rw - xfs /dev/sdb rw
27 24 0:46 / /srv/fuse rw - fuse.sshfs sshfs rw
28 24 0:47 / /srv/layers rw - overlay overlay rw
29 24 0:48 / /srv/twice rw - ext4 /dev/sdc rw
30 24 0:48 / /srv/twice rw - nfs4 server:/media rw
31 24 nonsense
32 24 0:x / /srv/no-number rw - ext4 /dev/sdd rw

"""


def test_file_systems_of_this_host_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(file_systems, "_MOUNTS", mounts)
    assert file_systems.local_devices() == {os.makedev(254, 1), os.makedev(0, 45)}


def test_no_mounts_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_systems, "_MOUNTS", tmp_path / "missing")
    assert file_systems.local_devices() == frozenset()
