# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operations of S3 that the engine needs. Keys are full keys, the prefix included."""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from ..errors import StoreError
from ..store import StoreSettings
from .s3_xml import (
    Listed,
    Page,
    UnfinishedUpload,
    UploadsPage,
    completion_document,
    parse_completed,
    parse_listing,
    parse_upload_id,
    parse_uploads,
)
from .transport.client import Answer, Body, Client, FilePart, RequestFailed, Sink
from .transport.faults import DisorderedListing, RefusedError, ResponseParserError, error_details
from .transport.verdict import Verdicts, status_of_late_error

__all__ = ["S3", "Digest", "Listed", "MultipartUpload", "ObjectInfo", "Page", "is_archive_class"]

_CHECKSUMS = tuple((name, f"x-amz-checksum-{name}") for name in ("crc32", "crc32c", "crc64nvme", "sha1", "sha256"))
_XML_TYPE = ("content-type", "application/xml")
_ALGORITHM_HEADER = "x-amz-server-side-encryption-customer-algorithm"
# Objects of these classes have to be restored before anybody can read them.
_ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
# Its objects may be in an archive tier, which only a HEAD tells.
TIERING_CLASS = "INTELLIGENT_TIERING"
_REFUSED_DIGEST = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})
# What a PUT with "If-None-Match: *" says of a key that has an object.
_EXISTS = 412


class ObjectInfo(NamedTuple):
    """``encrypted``: with a key that makes the ETag no MD5. ``checksums``: base64 by name, of the whole object only.

    ``archived`` names the class or tier that an object has to be restored from before it can be read; else it is empty.
    """

    size: int
    etag: str
    encrypted: bool
    checksums: dict[str, str]
    archived: str = ""


class MultipartUpload(NamedTuple):
    """``encrypted``: its object's ETag will be no digest. ``checksum`` names the one the store keeps, or is empty.

    ``uses_key``: the store said that it encrypts with the customer key; some say so of the parts only.
    """

    upload_id: str
    encrypted: bool
    checksum: str
    uses_key: bool = False


class Digest(NamedTuple):
    """What the store checks a body by: its MD5 (16 bytes), or, where that is empty, a checksum in base64, by name."""

    md5: bytes = b""
    name: str = ""
    checksum: str = ""

    @property
    def header(self) -> tuple[str, str]:
        return ("content-md5", _base64(self.md5)) if self.md5 else (f"x-amz-checksum-{self.name}", self.checksum)


class S3:
    """One bucket. Every operation may raise StoreError (the run must end) and RequestFailed (this one has failed)."""

    def __init__(self, client: Client, settings: StoreSettings) -> None:
        self._client = client
        self._verdicts = Verdicts(settings)
        self._prefix = settings.prefix
        #: Whether pages of this store were out of order, so that a listing of it answers for no key.
        self.lists_out_of_order = False
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

        try:
            answer = await self._client.request("list", "GET", query=query, check=check)
        except RequestFailed as error:
            if error.code == DisorderedListing.__name__:
                self.lists_out_of_order = True
            raise
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

    async def put(self, key: str, body: Body, digest: Digest) -> ObjectInfo:
        """Stores the body; the store checks it against the digest before it says yes."""
        return self._stored(await self._put(key, body, digest), key, body, digest)

    async def put_if_absent(self, key: str, body: Body, digest: Digest) -> ObjectInfo | None:
        """As put(); None where there is an object, which a store that knows ``If-None-Match: *`` keeps as it is."""
        answer = await self._put(key, body, digest, ("if-none-match", "*"))
        return None if answer.status == _EXISTS else self._stored(answer, key, body, digest)

    async def _put(self, key: str, body: Body, digest: Digest, *more: tuple[str, str]) -> Answer:
        headers = (digest.header, *self._kept, *more)
        return await self._client.request("put", "PUT", key, headers=headers, body=body)

    def _stored(self, answer: Answer, key: str, body: Body, digest: Digest) -> ObjectInfo:
        self._refuse_all_but_success(answer, "put", key)
        self._check_encryption(answer, key)
        info = _object_info(answer, body.length if isinstance(body, FilePart) else len(body))
        if digest.name and answer.headers.get(f"x-amz-checksum-{digest.name}") == digest.checksum:
            info.checksums[digest.name] = digest.checksum
        return info

    async def get(self, key: str, make_sink: Callable[[], Sink]) -> int | None:
        """How many bytes the object has, once the last sink has had them all; None where there is no such object.

        Each attempt makes a new sink, and what an earlier one has had counts for nothing.
        """
        answer = await self._client.request("get", "GET", key, headers=self._customer_key, make_sink=make_sink)
        if answer.status == 404:
            return None
        self._refuse_all_but_success(answer, "get", key)
        return answer.length

    async def create_multipart(self, key: str, checksum: str = "") -> MultipartUpload:
        """Begins an upload; ``checksum`` names what its parts have instead of an MD5, where the store takes it."""
        ids: list[str] = []
        headers = list(self._kept)
        if checksum:
            headers.append(("x-amz-checksum-algorithm", checksum.upper()))
            headers.append(("x-amz-checksum-type", "FULL_OBJECT"))
        answer = await self._client.request(
            "create_multipart",
            "POST",
            key,
            query=(("uploads", ""),),
            headers=headers,
            check=lambda answer: ids.append(parse_upload_id(answer.body)),
        )
        self._refuse_all_but_success(answer, "create_multipart", key)
        taken = answer.headers.get("x-amz-checksum-algorithm", "").lower() == checksum
        uses_key = bool(answer.headers.get(_ALGORITHM_HEADER))
        return MultipartUpload(ids[-1], _is_encrypted(answer), checksum if taken else "", uses_key)

    async def upload_part(self, key: str, upload: MultipartUpload, number: int, body: Body, digest: Digest) -> str:
        """The part's ETag; ``number`` counts from 1."""
        answer = await self._client.request(
            "upload_part",
            "PUT",
            key,
            query=(("partNumber", str(number)), ("uploadId", upload.upload_id)),
            headers=(digest.header, *self._customer_key),
            body=body,
        )
        self._refuse_all_but_success(answer, "upload_part", key)
        if not upload.uses_key:
            self._check_encryption(answer, key)
        return _etag(answer)

    async def refuses_wrong_checksum(self, key: str, upload: MultipartUpload, digest: Digest) -> bool:
        """Whether the store verifies a part's checksum: ``digest`` is not that of the part, which is one byte."""
        answer = await self._client.request(
            "upload_part",
            "PUT",
            key,
            query=(("partNumber", "1"), ("uploadId", upload.upload_id)),
            headers=(digest.header, *self._customer_key),
            body=b"?",
            expected=_REFUSED_DIGEST,
        )
        return answer.status >= 400 and answer.status != 404

    async def complete_multipart(
        self, key: str, upload: MultipartUpload, etags: Sequence[str], checksums: Sequence[str] = ()
    ) -> str:
        """The object's ETag. RequestFailed of status 404: an attempt whose answer was lost may have done it.

        ``checksums`` are those of the parts, in base64, where the parts were sent with them.
        """
        found: list[str] = []

        def check(answer: Answer) -> None:
            if b"<Error" in answer.body:
                # S3 says 200 first and finds out afterwards; such a no is judged as one of the same code.
                status = status_of_late_error(error_details(answer.body).get("Code", ""))
                late = Answer(status, answer.headers, answer.body, answer.length)
                raise self._verdicts.fault_of(late, "complete_multipart", key)
            found.append(parse_completed(answer.body))

        headers = [_XML_TYPE, *self._customer_key]
        if checksums:
            headers.append(("x-amz-checksum-type", "FULL_OBJECT"))
        answer = await self._client.request(
            "complete_multipart",
            "POST",
            key,
            query=(("uploadId", upload.upload_id),),
            headers=headers,
            body=completion_document(etags, upload.checksum.upper(), checksums),
            check=check,
        )
        if found:
            return found[-1]
        raise self._verdicts.failed(RefusedError(answer), "complete_multipart", key)

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Nothing is left of the upload; one that is not there is fine."""
        query = (("uploadId", upload_id),)
        # A policy that demands the customer key may demand it of this too.
        await self._client.request("abort_multipart", "DELETE", key, query=query, headers=self._customer_key)

    async def list_uploads(self, after_key: str = "", after_id: str = "") -> UploadsPage:
        """Multipart uploads under the prefix that were begun and neither completed nor aborted."""
        query = [("uploads", ""), ("prefix", self._prefix), ("max-uploads", "1000")]
        if after_key:
            query += [("key-marker", after_key), ("upload-id-marker", after_id)]
        pages: list[UploadsPage] = []
        answer = await self._client.request(
            "list_uploads", "GET", query=query, check=lambda answer: pages.append(parse_uploads(answer.body))
        )
        if answer.status == 404:
            # A store's way to say that there has never been one.
            return UploadsPage([], "", "")
        self._refuse_all_but_success(answer, "list_uploads", "")
        return pages[-1]

    async def unfinished_uploads(self) -> AsyncIterator[UnfinishedUpload]:
        """All that list_uploads() gives, page by page. Raises as every operation."""
        after_key = after_id = ""
        while True:
            page = await self.list_uploads(after_key, after_id)
            for upload in page.uploads:
                yield upload
            # A store that repeats its page must not keep the run.
            if not page.next_key or (page.next_key, page.next_id) <= (after_key, after_id):
                return
            after_key, after_id = page.next_key, page.next_id

    def _refuse_all_but_success(self, answer: Answer, kind: str, key: str) -> None:
        if not 200 <= answer.status < 300:
            raise self._verdicts.failed(RefusedError(answer), kind, key)

    def _check_encryption(self, answer: Answer, key: str) -> None:
        """Raises StoreError where the customer key went along and the store does not say that it was used."""
        if self._customer_key and not answer.headers.get(_ALGORITHM_HEADER):
            raise StoreError(
                f"The store took {key!r} with synapse_s3_sse_customer_key and does not say that it encrypted it: it "
                "ignores customer keys (SSE-C), and keeps objects in the clear. Use a store that knows SSE-C, or leave "
                "synapse_s3_sse_customer_key empty.",
                "CustomerKeyIgnored",
            )


def is_archive_class(storage_class: str) -> bool:
    """Whether objects of this class cannot be read before somebody has them restored."""
    return storage_class in _ARCHIVE_CLASSES


def _customer_key_headers(settings: StoreSettings) -> tuple[tuple[str, str], ...]:
    if not settings.sse_customer_key:
        return ()
    key = settings.sse_customer_key.encode()
    return (
        (_ALGORITHM_HEADER, settings.sse_customer_algo),
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
    checksums: dict[str, str] = {}
    kind = headers.get("x-amz-checksum-type")
    if kind in (None, "FULL_OBJECT"):
        for name, header in _CHECKSUMS:
            value = headers.get(header)
            # A digest of the parts' digests ends in their number. A CRC counts only of a store that knows the kinds of
            # checksums: others hand back whatever was sent along.
            if value is not None and "-" not in value and (kind is not None or name == "sha256"):
                checksums[name] = value
    storage_class = headers.get("x-amz-storage-class", "")
    archived = headers.get("x-amz-archive-status", "") or (storage_class if is_archive_class(storage_class) else "")
    return ObjectInfo(size, _etag(answer), _is_encrypted(answer), checksums, archived)


def _is_encrypted(answer: Answer) -> bool:
    headers = answer.headers
    return _ALGORITHM_HEADER in headers or headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")


def _etag(answer: Answer) -> str:
    return answer.headers.get("etag", "").removeprefix("W/").strip('" ')


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
