# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A media store on disk, for tests of the parts of the engine that handle local files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.local_file import (
    Identity,
    LocalFile,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.own_unlinks import OwnUnlinks
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.removal import Removals, Removed
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.walk import walk
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.proof.evidence import Proven

NOBODY = 65534

LOCAL_KEY = "local_content/Ab/Cd/EfGhIjKl"
LOCAL_THUMBNAIL_KEY = "local_thumbnails/Ab/Cd/EfGhIjKl/32-32-image-png-crop"
REMOTE_KEY = "remote_content/example.org:8448/Zy/Xw/VuTsRqPo"
REMOTE_THUMBNAIL_KEY = "remote_thumbnail/example.org:8448/Zy/Xw/VuTsRqPo/96-96-image-jpeg-scale"
KEYS = [LOCAL_KEY, LOCAL_THUMBNAIL_KEY, REMOTE_KEY, REMOTE_THUMBNAIL_KEY]


def put(root: Path, key: str, content: bytes = b"content") -> Path:
    path = root / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    # Far in the past, so that a later change is visible even where the file system's clock is coarse.
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def walk_all(root: Path) -> tuple[list[LocalFile], list[tuple[str, str, int]]]:
    """Return the files in the order of the walk, and what the walk skipped with the reasons."""
    left: list[tuple[str, str, int]] = []
    return list(walk(str(root), lambda *what: left.append(what))), left


def file_at(root: Path, key: str) -> LocalFile:
    (file,) = [file for file in walk_all(root)[0] if file.path == key]
    return file


def remove_batch(root: str, files: Sequence[tuple[LocalFile, Identity]], grace: float = 0.0) -> list[Removed]:
    """Return the outcome of each file, in their order; directories changed by others within `grace` seconds stay."""
    told: dict[str, Removed] = {}

    def tell(proven: Proven, outcome: Removed) -> None:
        assert proven.file.path not in told
        told[proven.file.path] = outcome

    with contextlib.closing(Loop()) as loop:
        removals = Removals(loop, root, OwnUnlinks(), grace, tell)
        loop.run(removals.remove([Proven(file, identity) for file, identity in files]))
        assert removals.finish() == 0
    return [told[file.path] for file, dummy in files]


def everything(root: Path) -> list[str]:
    """Return all paths below a directory without following links; directories end in a slash."""
    found = []
    for directory, directories, files in os.walk(root):
        here = os.path.relpath(directory, root)
        found += [os.path.normpath(f"{here}/{name}") + "/" for name in directories]
        found += [os.path.normpath(f"{here}/{name}") for name in files]
    return sorted(found)


def open_descriptors() -> int:
    """Return the number of open descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def store_of_an_ordinary_user() -> Iterator[Path]:
    """Yield a media store of a user other than root, so that file permissions apply; the test runs as that user."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() != 0:
            yield Path(name)
            return
        os.chown(name, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            os.seteuid(0)
