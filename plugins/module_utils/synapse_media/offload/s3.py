# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operations of S3 that the engine needs. Keys are full keys, the prefix included."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..store import StoreSettings
from .s3_xml import Listed, Page, completion_document, parse_completed, parse_listing, parse_upload_id
from .transport.client import Answer, Body, Client, FilePart, Sink
from .transport.faults import DisorderedListing, RefusedError, ResponseParserError
from .transport.verdict import Verdicts

__all__ = ["S3", "Listed", "ObjectInfo", "Page"]

_CHECKSUM_NAMES = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
_XML_TYPE = ("content-type", "application/xml")


class ObjectInfo(NamedTuple):
    """``encrypted``: with a key that makes the ETag no MD5. ``checksums``: base64 by name, of the whole object only."""

    size: int
    etag: str
    encrypted: bool
    checksums: dict[str, str]


class S3:
    """One bucket. Every operation may raise StoreError (the run must end) and RequestFailed (this one has failed)."""

    def __init__(self, client: Client, settings: StoreSettings) -> None:
        self._client = client
        self._verdicts = Verdicts(settings)
        self._prefix = settings.prefix
        self._customer_key = _customer_key_headers(settings)
        kept: list[tuple[str, str]] = [("content-type", "application/octet-stream"), *self._customer_key]
        if settings.storage_class != "STANDARD":
            kept.append(("x-amz-storage-class", settings.storage_class))
        self._kept = tuple(kept)

    @property
    def requests(self) -> dict[str, int]:
        """How many requests were sent, by kind, attempts that failed included."""
        return self._client.requests

    async def list_page(self, start_after: str, limit: int = 1000) -> Page:
        """Objects under the prefix whose keys follow ``start_after``, in the order of their UTF-8 bytes."""
        query = [("list-type", "2"), ("max-keys", str(limit)), ("prefix", self._prefix), ("encoding-type", "url")]
        if start_after:
            query.append(("start-after", start_after))
        pages: list[Page] = []

        def check(answer: Answer) -> None:
            pages.append(_ordered(parse_listing(answer.body), start_after, self._prefix))

        answer = await self._client.request("list", "GET", query=query, check=check)
        if not pages:
            raise self._verdicts.fatal(RefusedError(answer), "list", "")
        return pages[0]

    async def head(self, key: str) -> ObjectInfo | None:
        """What the store keeps under this key; None where it keeps nothing."""

        def check(answer: Answer) -> None:
            if not answer.headers.get("content-length", "").isdigit():
                raise ResponseParserError("the answer does not tell the object's size")

        answer = await self._client.request(
            "head", "HEAD", key, headers=(("x-amz-checksum-mode", "ENABLED"), *self._customer_key), check=check
        )
        if answer.status == 404:
            return None
        self._refuse_all_but_success(answer, "head", key)
        return _object_info(answer, int(answer.headers["content-length"]))

    async def put(self, key: str, body: Body, md5: bytes) -> ObjectInfo:
        """Stores the body; the store checks it against the MD5 (16 bytes) before it says yes."""
        headers = (("content-md5", _base64(md5)), *self._kept)
        answer = await self._client.request("put", "PUT", key, headers=headers, body=body)
        self._refuse_all_but_success(answer, "put", key)
        return _object_info(answer, body.length if isinstance(body, FilePart) else len(body))

    async def get(self, key: str, make_sink: Callable[[], Sink]) -> int | None:
        """How many bytes the object has, once the last sink has had them all; None where there is no such object.

        Each attempt makes a new sink, and what an earlier one has had counts for nothing.
        """
        answer = await self._client.request("get", "GET", key, headers=self._customer_key, make_sink=make_sink)
        if answer.status == 404:
            return None
        self._refuse_all_but_success(answer, "get", key)
        return answer.length

    async def create_multipart(self, key: str) -> str:
        """The upload's id."""
        ids: list[str] = []
        answer = await self._client.request(
            "create_multipart",
            "POST",
            key,
            query=(("uploads", ""),),
            headers=self._kept,
            check=lambda answer: ids.append(parse_upload_id(answer.body)),
        )
        self._refuse_all_but_success(answer, "create_multipart", key)
        return ids[0]

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body, md5: bytes) -> str:
        """The part's ETag; ``number`` counts from 1."""
        answer = await self._client.request(
            "upload_part",
            "PUT",
            key,
            query=(("partNumber", str(number)), ("uploadId", upload_id)),
            headers=(("content-md5", _base64(md5)), *self._customer_key),
            body=body,
        )
        self._refuse_all_but_success(answer, "upload_part", key)
        return _etag(answer)

    async def complete_multipart(self, key: str, upload_id: str, etags: Sequence[str]) -> str:
        """The object's ETag. RequestFailed of status 404: an attempt whose answer was lost may have done it."""
        found: list[str] = []

        def check(answer: Answer) -> None:
            if b"<Error" in answer.body:
                # S3 says 200 first and finds out afterwards; such a no is judged as one of the same code.
                raise self._verdicts.fault_of(
                    Answer(_status_of_late_error(answer), answer.headers, answer.body, answer.length),
                    "complete_multipart",
                    key,
                )
            found.append(parse_completed(answer.body))

        answer = await self._client.request(
            "complete_multipart",
            "POST",
            key,
            query=(("uploadId", upload_id),),
            headers=(_XML_TYPE,),
            body=completion_document(etags),
            check=check,
        )
        if found:
            return found[-1]
        raise self._verdicts.failed(RefusedError(answer), "complete_multipart", key)

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Nothing is left of the upload; one that is not there is fine."""
        await self._client.request("abort_multipart", "DELETE", key, query=(("uploadId", upload_id),))

    def _refuse_all_but_success(self, answer: Answer, kind: str, key: str) -> None:
        if not 200 <= answer.status < 300:
            raise self._verdicts.failed(RefusedError(answer), kind, key)


def _customer_key_headers(settings: StoreSettings) -> tuple[tuple[str, str], ...]:
    if not settings.sse_customer_key:
        return ()
    key = settings.sse_customer_key.encode()
    return (
        ("x-amz-server-side-encryption-customer-algorithm", settings.sse_customer_algo),
        ("x-amz-server-side-encryption-customer-key", _base64(key)),
        ("x-amz-server-side-encryption-customer-key-md5", _base64(hashlib.md5(key, usedforsecurity=False).digest())),
    )


def _ordered(page: Page, start_after: str, prefix: str) -> Page:
    """Without repeated keys. Raises DisorderedListing where the page cannot answer for the keys between its own."""
    objects: list[Listed] = []
    last = start_after
    for listed in page.objects:
        key = listed.key
        if key > last:
            if not key.startswith(prefix):
                raise DisorderedListing(
                    f"The store lists {key!r} under the prefix {prefix!r}. Look into the store's log; "
                    "an engine that trusts its listing cannot work with it."
                )
            objects.append(listed)
            last = key
        elif key != last:
            raise DisorderedListing(
                f"The store does not list its keys in order ({key!r} after {last!r}). Buckets of that kind, such as "
                "S3's directory buckets, cannot be used; else look into the store's log."
            )
    if page.truncated and not objects:
        raise ResponseParserError("the listing does not go on")
    return Page(objects, page.truncated)


def _object_info(answer: Answer, size: int) -> ObjectInfo:
    headers = answer.headers
    encrypted = "x-amz-server-side-encryption-customer-algorithm" in headers or headers.get(
        "x-amz-server-side-encryption", ""
    ).startswith("aws:kms")
    checksums: dict[str, str] = {}
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT":
        for name in _CHECKSUM_NAMES:
            value = headers.get(f"x-amz-checksum-{name}")
            # A digest of the parts' digests ends in their number.
            if value is not None and "-" not in value:
                checksums[name] = value
    return ObjectInfo(size, _etag(answer), encrypted, checksums)


def _etag(answer: Answer) -> str:
    return answer.headers.get("etag", "").removeprefix("W/").strip('" ')


def _status_of_late_error(answer: Answer) -> int:
    return 500 if b"<Code>InternalError<" in answer.body or b"<Code>SlowDown<" in answer.body else 400


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
