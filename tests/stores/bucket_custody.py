"""Custody over a bucket of any store, whose objects it reads through the store, under a customer's key if need be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.exceptions
from custody import Custody

_THREADS = 8


class BucketCustody(Custody):
    """Asks for every key it knows by name: a store may leave keys out of its listing."""

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
        """The keys in the order of the store."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def put_all(self, **options: Any) -> None:
        """Puts what lies in the media store into the bucket, as an earlier run or Synapse itself has done."""
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda path: self.put(path, **options), sorted(self.on_disk())))

    def put(self, path: str, body: bytes | None = None, **options: Any) -> None:
        content = (self.media_path / path).read_bytes() if body is None else body
        self.client.put_object(Bucket=self.name, Key=self.prefix + path, Body=content, **{**self._extra, **options})

    def modified(self) -> dict[str, Any]:
        """When each known object was last written, by path: the store's own evidence that it was not written again."""

        def ask(path: str) -> Any:
            return self.client.head_object(Bucket=self.name, Key=self.prefix + path, **self._extra)["LastModified"]

        with ThreadPoolExecutor(_THREADS) as pool:
            paths = sorted(self.known)
            return dict(zip(paths, pool.map(ask, paths)))

    def _digests(self, keys: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        with ThreadPoolExecutor(_THREADS) as pool:
            yield from pool.map(lambda key: (key, self._digest(key)), keys)

    def _digest(self, key: str) -> str | None:
        """None where there is no object; words where the store does not give it out with this key."""
        try:
            body = self.client.get_object(Bucket=self.name, Key=key, **self._extra)["Body"]
        except botocore.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 404:
                return None
            if status in (400, 403):
                # Not raised: that Synapse could not read it is what a test asks.
                return f"refused with {status}"
            raise
        digest = hashlib.sha256()
        for chunk in body.iter_chunks(1024 * 1024):
            digest.update(chunk)
        return digest.hexdigest()
