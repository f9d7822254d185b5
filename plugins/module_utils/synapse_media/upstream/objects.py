# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects in the bucket: looked up by sorted listings instead of one request a key, by HEAD, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, NamedTuple

_CHUNK = 1024 * 1024

STORE_ERRORS: tuple[type[Exception], ...] = ()
try:
    from botocore.exceptions import BotoCoreError, ClientError

    STORE_ERRORS = (BotoCoreError, ClientError)
except ImportError:
    # Without it there is no client either: make_client says what to install.
    pass


class RemoteObject(NamedTuple):
    size: int
    etag: str
    # Whether the server confirmed the customer key of the request; a listing never does.
    with_customer_key: bool = False


class ReadBackError(Exception):
    """The object could not be read; the cause is chained."""


class Found(NamedTuple):
    key: str
    remote: RemoteObject | None


def find_by_listing(client: Any, bucket: str, prefix: str, keys: Iterable[str]) -> Iterator[Found]:
    """Look up keys that are sorted as in S3.

    A page covers every key up to its last one, and the next page starts just before the next key, so there are
    never more requests than keys nor than pages in the bucket. Only the keys that are found are certain: a server that
    sorts differently could leave a key out.
    """
    page: dict[str, RemoteObject] = {}
    covered_to: str | None = ""
    for key in keys:
        if covered_to is not None and key > covered_to:
            page, covered_to = _page_from(client, bucket, prefix, key)
        yield Found(key, page.get(key))


def find_by_head(client: Any, bucket: str, key: str, sse: dict[str, str]) -> RemoteObject | None:
    try:
        response = client.head_object(Bucket=bucket, Key=key, **sse)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
    return RemoteObject(response["ContentLength"], response["ETag"].strip('"'), "SSECustomerAlgorithm" in response)


class ReadBack:
    """The object's bytes, requested only if its ETag is not enough: SSE-C, SSE-KMS, unknown part sizes."""

    def __init__(self, client: Any, bucket: str, key: str, sse: dict[str, str]) -> None:
        self._client = client
        self._request = {"Bucket": bucket, "Key": key, **sse}

    def chunks(self) -> Iterator[bytes]:
        # Some of botocore's errors are OSErrors and would be taken for errors of the file.
        try:
            with closing(self._client.get_object(**self._request)["Body"]) as body:
                yield from body.iter_chunks(_CHUNK)
        except Exception as error:
            raise ReadBackError from error


def _page_from(client: Any, bucket: str, prefix: str, key: str) -> tuple[dict[str, RemoteObject], str | None]:
    """Return the objects from a key on, and the last key that they cover; None if they cover all later keys."""
    # StartAfter is exclusive, so it is the key without its last character, which sorts before it.
    start_after = key[:-1]
    while True:
        response = client.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=start_after)
        objects = {
            item["Key"]: RemoteObject(item["Size"], item["ETag"].strip('"')) for item in response.get("Contents", [])
        }
        if not response.get("IsTruncated"):
            return objects, None
        # A truncated page without objects would repeat without end: it covers the key itself only.
        last = max(objects, default=key)
        if last >= key:
            return objects, last
        start_after = last
