# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which mounted file systems only this host writes to, so that stat() never answers from an outdated cache."""

from __future__ import annotations

import os
from pathlib import Path

# Only those that no other host can have mounted at the same time. Overlay and FUSE may stand on a network file system;
# btrfs reports other device numbers than its mounts have, so it would not be found anyway.
_LOCAL_TYPES = frozenset({"bcachefs", "ext2", "ext3", "ext4", "f2fs", "jfs", "tmpfs", "xfs", "zfs"})
_MOUNTS = Path("/proc/self/mountinfo")


def local_devices() -> frozenset[int]:
    """Device numbers (`st_dev`) of local file systems; empty where the mounts cannot be read.

    Format: proc(5), /proc/pid/mountinfo.
    """
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return frozenset()
    devices: dict[int, bool] = {}
    for line in lines:
        fields = line.split()
        try:
            major, minor = fields[2].split(":")
            kind = fields[fields.index("-") + 1]
            device = os.makedev(int(major), int(minor))
        except (ValueError, IndexError):
            continue
        devices[device] = devices.get(device, True) and kind in _LOCAL_TYPES
    return frozenset(device for device, is_local in devices.items() if is_local)
