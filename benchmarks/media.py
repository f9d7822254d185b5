# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A media tree for the figures: made once, copied for each run, and compared with the bucket's content."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paths import as_worker, give_to_worker
from run_cost import RunFailed
from s3_store import Store, StoredObject


class Tree:
    """Below `directory`: the master tree, the rows for PostgreSQL's COPY, and `work`, which a run moves."""

    def __init__(self, directory: Path, count: int, shape: str) -> None:
        self.directory = directory
        self.count = count
        self.work = directory / "work" / "media_store"
        subprocess.run(
            as_worker([sys.executable, str(Path(__file__).with_name("tree.py")), str(directory), str(count), shape]),
            check=True,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
        )

    @property
    def master(self) -> Path:
        return self.directory / "media_store"

    def lay_out(self) -> None:
        """Copy the master: Synapse's files have one name each, and hard links would cost the engine more."""
        self.remove()
        subprocess.run(as_worker(["mkdir", str(self.work.parent)]), check=True)
        subprocess.run(as_worker(["cp", "-a", str(self.master), str(self.work)]), check=True)

    def remove(self) -> None:
        shutil.rmtree(self.work.parent, ignore_errors=True)

    def need_restored(self, who: str) -> None:
        """Every file must be on the disk again, with its content."""
        wanted = self.manifest()
        found = {str(path.relative_to(self.work)): path for path in self.work.rglob("*") if path.is_file()}
        wrong = [
            path
            for path, kept in wanted.items()
            if path not in found
            or hashlib.md5(found[path].read_bytes(), usedforsecurity=False).hexdigest() != kept.etag
        ]
        if wrong or len(found) != len(wanted):
            raise RunFailed(
                f"{who} left {len(found)} files on the disk, where {len(wanted)} should be; {len(wrong)} of these are"
                f" missing or different: {wrong[:3]}"
            )

    def files_left(self) -> int:
        return sum(1 for path in self.work.rglob("*") if path.is_file())

    def manifest(self) -> dict[str, StoredObject]:
        lines = (line.split("\t") for line in (self.directory / "manifest.tsv").read_text().splitlines())
        return {path: StoredObject(int(size), md5) for path, size, md5 in lines}

    def need_in(self, store: Store, who: str) -> None:
        """Every file must be in the bucket with its size, and up to 1 MiB with its MD5 as the ETag."""
        held = {}
        for first in ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail"):
            held.update(store.listing(f"{first}/"))
        wanted = self.manifest()
        missing = [path for path, kept in wanted.items() if not _is_there(held.get(path), kept)]
        if missing:
            raise RunFailed(f"{who} left {len(missing)} of {len(wanted)} files out of the bucket: {missing[:3]}")

    def need_moved(self, store: Store, who: str) -> None:
        left = self.files_left()
        if left:
            raise RunFailed(f"{who} left {left} files on the disk.")
        self.need_in(store, who)


def _is_there(held: StoredObject | None, wanted: StoredObject) -> bool:
    """A longer one may have been sent in parts, or without its MD5."""
    return held is not None and held.size == wanted.size and (held.etag == wanted.etag or held.size > 1 << 20)


@contextmanager
def work_directory(below: Path) -> Iterator[Path]:
    """A directory of the worker's, which is removed with its content in the end."""
    directory = Path(tempfile.mkdtemp(prefix="synapse-s3-bench-", dir=below))
    directory.chmod(0o755)
    give_to_worker(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
