# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A media inventory whose bucket is read through any S3 server, with a customer key if the objects need one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import botocore.exceptions
from media_inventory import MediaInventory

_THREADS = 8


class BucketInventory(MediaInventory):
    """Reads every known key by name, because a server may leave keys out of its listing."""

    def __init__(
        self, media_path: Path, client: Any, bucket: str, prefix: str = "", customer_key: str | None = None
    ) -> None:
        super().__init__(media_path, Path("/nonexistent"), prefix)
        self.client = client
        self.name = bucket
        self._extra = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": customer_key} if customer_key else {}

    def in_bucket(self) -> dict[str, str]:
        found: dict[str, str] = {}
        paths: dict[str, str] = {self.prefix + path: path for path in self.known}
        for key in self.listed():
            inside = key.startswith(self.prefix)
            paths.setdefault(key, key[len(self.prefix) :] if inside else f"outside the prefix: {key}")
        for key, digest in self._digests(sorted(paths)):
            if digest is not None:
                found[paths[key]] = digest
        return found

    def listed(self) -> list[str]:
        """The keys in the order of the server."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def put_all(self, **options: Any) -> None:
        """Upload all files of the media store, as an earlier run or Synapse itself would have done."""
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(partial(self.put, **options), sorted(self.on_disk())))

    def put(self, path: str, body: bytes | None = None, **options: Any) -> None:
        content = (self.media_path / path).read_bytes() if body is None else body
        self.client.put_object(Bucket=self.name, Key=self.prefix + path, Body=content, **{**self._extra, **options})

    def modified(self) -> dict[str, Any]:
        """When each known object was last written, by path: the server's own proof that it was not written again."""

        def ask(path: str) -> Any:
            return self.client.head_object(Bucket=self.name, Key=self.prefix + path, **self._extra)["LastModified"]

        with ThreadPoolExecutor(_THREADS) as pool:
            paths = sorted(self.known)
            return dict(zip(paths, pool.map(ask, paths)))

    def _digests(self, keys: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        with ThreadPoolExecutor(_THREADS) as pool:
            yield from pool.map(lambda key: (key, self._digest(key)), keys)

    def _digest(self, key: str) -> str | None:
        """Return the object's digest, None if there is no object, or a text if it cannot be read with this key."""
        try:
            body = self.client.get_object(Bucket=self.name, Key=key, **self._extra)["Body"]
        except botocore.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return None
            if status in (400, 403):
                # Not raised, because tests check that Synapse could not read the object.
                return f"refused with {status}"
            raise
        digest = hashlib.sha256()
        for chunk in body.iter_chunks(1024 * 1024):
            digest.update(chunk)
        return digest.hexdigest()
