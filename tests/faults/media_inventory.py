# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files that a test knows, with their digests: is each whole on disk, or whole in the bucket?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
from offload_engine import Outcome
from s3_server import S3Server

# The mark file of the other engine in a media store, and the folder where the test server keeps unfinished uploads.
_NO_MEDIA = (".synapse-s3", ".rclone_temp_")


class MediaInventory:
    """Records the digests of all files on disk, and looks for them on disk and in the bucket's own files.

    `bucket` is a folder of tests/integration/s3_server.py; all keys in it begin with `prefix`.
    """

    def __init__(self, media_path: Path, bucket: Path, prefix: str = "") -> None:
        self.media_path = media_path
        self.bucket = bucket
        self.prefix = prefix
        self.known: dict[str, str] = {}

    def record_files(self) -> None:
        """From now on, no file that is in the media store may be lost."""
        self.known.update(self.on_disk())

    def on_disk(self) -> dict[str, str]:
        return {path: _digest(self.media_path / path) for path in sorted(_files(self.media_path))}

    def in_bucket(self) -> dict[str, str]:
        """Digests by path, which is the key without the prefix. A key outside the prefix keeps its whole length."""
        found = {}
        for key in sorted(_files(self.bucket)):
            inside = key.startswith(self.prefix)
            found[key[len(self.prefix) :] if inside else f"outside the prefix: {key}"] = _digest(self.bucket / key)
        return found

    def lost(self) -> list[str]:
        """Return the files that are whole neither on disk nor in the bucket."""
        disk, bucket = self.on_disk(), self.in_bucket()
        return [path for path, digest in self.known.items() if digest not in (disk.get(path), bucket.get(path))]

    def assert_nothing_lost(self) -> None:
        lost = self.lost()
        assert not lost, f"{len(lost)} of {len(self.known)} media are lost, such as {lost[:5]}"

    def assert_all_moved(self) -> None:
        self.assert_nothing_lost()
        assert self.on_disk() == {}
        bucket = self.in_bucket()
        strange = sorted(path for path in bucket if bucket[path] != self.known.get(path))
        assert not strange, f"the bucket has unexpected objects, such as {strange[:5]}"

    def assert_reported(self, outcome: Outcome) -> None:
        """Nothing is lost; each file that is still on disk is named, or the error that ended the run is."""
        self.assert_nothing_lost()
        remaining = [path for path in self.known if path in self.on_disk()]
        if outcome.status == 0:
            assert outcome.failed_paths == []
            self.assert_all_moved()
        elif not outcome.report.get("error"):
            assert outcome.status == 1, (outcome.status, outcome.errors)
            assert outcome.failed_paths == sorted(remaining)
            assert all(outcome.failures.values())


def unfinished_uploads(s3: S3Server, bucket: str) -> list[str]:
    """Keys of multipart uploads that were started, and neither completed nor aborted."""
    try:
        return [upload["Key"] for upload in s3.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
    except botocore.exceptions.ClientError as error:
        # This server's response where there has never been any upload in this bucket.
        assert error.response["Error"]["Code"] == "NoSuchUpload", error
        return []


def _files(root: Path) -> Iterator[str]:
    """The regular files, links not followed. A run may remove directories meanwhile, which os.walk passes over."""
    for folder, _folders, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if not name.startswith(_NO_MEDIA) and path.is_file() and not path.is_symlink():
                yield str(path.relative_to(root))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1024 * 1024):
                digest.update(chunk)
    except FileNotFoundError:
        return "vanished"
    return digest.hexdigest()
