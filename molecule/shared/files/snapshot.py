#!/usr/bin/env python
# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prints as JSON all files that matter to an operator: path -> [mode, owner, group, sha256 or link target].

Left out: files that the servers write themselves (media, databases, journals, compiled Python) and the tests' own
tools.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Iterator
from pathlib import Path

ROOTS = ["/etc", "/opt", "/usr/local", "/var/lib", "/srv", "/root", "/home", "/matrix"]
LEFT_OUT = (
    "/opt/test-tools",
    "/var/lib/postgresql",
    "/var/lib/postgresql-container",
    "/var/lib/docker",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/s3-server",
    "/var/lib/matrix-synapse/homeserver.db",
    "/var/lib/matrix-synapse/homeserver.db-shm",
    "/var/lib/matrix-synapse/homeserver.db-wal",
    "/var/lib/matrix-synapse/media",
    "/var/lib/synapse/media_store",
    "/matrix/synapse/storage/media-store",
    "/matrix/postgres/data",
    "/var/lib/synapse/homeserver.pid",
    "/var/lib/systemd",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/private",
    "/var/lib/redis",
    "/root/.ansible",
    "/root/.cache",
    "/etc/mtab",
    # The container engine writes it anew when a test takes the network away.
    "/etc/hosts",
    "/etc/machine-id",
)


def described(path: Path) -> list[object]:
    found = path.lstat()
    content = ""
    if stat.S_ISLNK(found.st_mode):
        content = str(path.readlink())
    elif stat.S_ISREG(found.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return [stat.filemode(found.st_mode), found.st_uid, found.st_gid, content]


def below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir() if folder.exists() else ():
        if str(path) in LEFT_OUT or path.name == "__pycache__":
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from below(path)


def main() -> None:
    print(json.dumps({str(path): described(path) for root in ROOTS for path in below(Path(root))}))


if __name__ == "__main__":
    main()
