# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operations of S3 on one bucket. Keys are full keys, the prefix included."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from ..errors import RequestFailed, StoreError
from ..settings.store import StoreSettings
from .client import Client
from .documents import (
    Page,
    UnfinishedUpload,
    UploadsPage,
    completion_document,
    ordered,
    parse_completed,
    parse_listing,
    parse_upload_id,
    parse_uploads,
)
from .error_classifier import ErrorClassifier, status_of_late_error
from .errors import DisorderedListing, RefusedError, error_details
from .objects import (
    ALGORITHM_HEADER,
    Digest,
    MultipartUpload,
    ObjectInfo,
    customer_key_headers,
    etag_of,
    is_encrypted,
    object_info,
)
from .operations import (
    ABORT_MULTIPART,
    COMPLETE_MULTIPART,
    CREATE_MULTIPART,
    GET,
    HEAD,
    LIST,
    LIST_UPLOADS,
    PUT,
    UPLOAD_PART,
    Operation,
)
from .transport.connection import Body, FilePart
from .transport.errors import ResponseParserError
from .transport.response import Response, Sink

_XML_TYPE = ("content-type", "application/xml")
_REFUSED_DIGEST = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch"})
# What a PUT with "If-None-Match: *" says of a key that has an object.
_EXISTS = 412


class Bucket:
    """One bucket. Every operation may raise StoreError (the run must end) and RequestFailed (this one has failed)."""

    def __init__(self, client: Client, settings: StoreSettings) -> None:
        self._client = client
        self._classifier = ErrorClassifier(settings)
        self.prefix = settings.prefix
        #: Whether pages of this store were out of order, so that its listings say nothing about any key.
        self.lists_out_of_order = False
        self._customer_key = customer_key_headers(settings)
        kept: list[tuple[str, str]] = [("content-type", "application/octet-stream"), *self._customer_key]
        if settings.storage_class != "STANDARD":
            kept.append(("x-amz-storage-class", settings.storage_class))
        self._kept = tuple(kept)

    def key(self, path: str) -> str:
        """The key of a file, given by its path below the media store."""
        return self.prefix + path

    @property
    def uses_customer_key(self) -> bool:
        """Whether objects are encrypted with a key of the operator's own."""
        return bool(self._customer_key)

    @property
    def requests(self) -> dict[str, int]:
        """How many requests were sent, by kind, attempts that failed included."""
        return self._client.requests

    async def list_page(self, start_after: str, limit: int = 1000, *, dated: bool = False) -> Page:
        """Objects under the prefix whose keys follow ``start_after``, in the order of their UTF-8 bytes.

        With ``dated`` each object comes with the time of its last change.
        """
        return (await self._list_page(start_after, limit, dated=dated))[0]

    async def dated_page(self, start_after: str) -> tuple[Page, str]:
        """As list_page() with ``dated``, and the time of the response by the store's clock, empty if it told none."""
        page, response = await self._list_page(start_after, 1000, dated=True)
        return page, response.headers.get("date", "")

    async def _list_page(self, start_after: str, limit: int, *, dated: bool) -> tuple[Page, Response]:
        query = [("list-type", "2"), ("max-keys", str(limit)), ("prefix", self.prefix), ("encoding-type", "url")]
        if start_after:
            query.append(("start-after", start_after))
        pages: list[Page] = []

        def check(response: Response) -> None:
            pages.append(ordered(parse_listing(response.body, dated=dated), start_after, self.prefix))

        try:
            response = await self._client.request(LIST, "GET", query=query, check=check)
        except RequestFailed as error:
            if error.code == DisorderedListing.__name__:
                self.lists_out_of_order = True
            raise
        if not pages:
            raise self._classifier.fatal(RefusedError(response), LIST, "")
        return pages[0], response

    async def head(self, key: str) -> ObjectInfo | None:
        """What the store keeps under this key; None if it keeps nothing."""
        response = await self._head(key)
        return None if response is None else object_info(response, int(response.headers["content-length"]))

    async def _head(self, key: str) -> Response | None:
        def check(response: Response) -> None:
            if not response.headers.get("content-length", "").isdigit():
                raise ResponseParserError("the answer does not tell the object's size")

        response = await self._client.request(
            HEAD, "HEAD", key, headers=(("x-amz-checksum-mode", "ENABLED"), *self._customer_key), check=check
        )
        if response.status == 404:
            return None
        self._refuse_all_but_success(response, HEAD, key)
        return response

    async def put(self, key: str, body: Body, digest: Digest) -> ObjectInfo:
        """Stores the body; the store checks it against the digest before it says yes."""
        return self._stored(await self._put(key, body, digest), key, body, digest)

    async def put_if_absent(self, key: str, body: Body, digest: Digest) -> ObjectInfo | None:
        """As put(); None if there is an object, which a store that knows ``If-None-Match: *`` keeps as it is."""
        response = await self._put(key, body, digest, ("if-none-match", "*"))
        return None if response.status == _EXISTS else self._stored(response, key, body, digest)

    async def _put(self, key: str, body: Body, digest: Digest, *more: tuple[str, str]) -> Response:
        headers = (digest.header, *self._kept, *more)
        return await self._client.request(PUT, "PUT", key, headers=headers, body=body)

    def _stored(self, response: Response, key: str, body: Body, digest: Digest) -> ObjectInfo:
        self._refuse_all_but_success(response, PUT, key)
        self._check_encryption(response, key)
        info = object_info(response, body.length if isinstance(body, FilePart) else len(body))
        if digest.name and response.headers.get(f"x-amz-checksum-{digest.name}") == digest.checksum:
            info.checksums[digest.name] = digest.checksum
        return info

    async def get(self, key: str, make_sink: Callable[[], Sink]) -> int | None:
        """How many bytes the object has, once the last sink has had them all; None if there is no such object.

        Each attempt makes a new sink, and what an earlier one has had counts for nothing.
        """
        response = await self._client.request(GET, "GET", key, headers=self._customer_key, make_sink=make_sink)
        if response.status == 404:
            return None
        self._refuse_all_but_success(response, GET, key)
        return response.length

    async def get_whole(self, key: str, limit: int) -> tuple[ObjectInfo, bytes] | None:
        """An object of up to `limit` bytes, with what the store says of it; None if there is no such object."""
        kept: list[memoryview] = []

        def make_sink() -> Sink:
            kept.clear()
            left = limit

            def take(data: memoryview) -> None:
                nonlocal left
                left -= len(data)
                if left < 0:
                    raise RequestFailed("The object became longer since it was listed. Run this again.", "Changed")
                kept.append(data)

            return take

        headers = (("x-amz-checksum-mode", "ENABLED"), *self._customer_key)
        response = await self._client.request(GET, "GET", key, headers=headers, make_sink=make_sink)
        if response.status == 404:
            return None
        self._refuse_all_but_success(response, GET, key)
        data = b"".join(kept)
        return object_info(response, len(data)), data

    async def get_range(self, key: str, offset: int, length: int, etag: str) -> bytes:
        """Some bytes of an object that must still have this ETag. Raises RequestFailed if it has not, or is gone."""
        kept: list[memoryview] = []

        def make_sink() -> Sink:
            kept.clear()
            return kept.append

        headers = [("range", f"bytes={offset}-{offset + length - 1}"), *self._customer_key]
        if etag:
            headers.append(("if-match", f'"{etag}"'))
        response = await self._client.request(GET, "GET", key, headers=headers, make_sink=make_sink)
        if response.status in (404, 412) or (response.status < 300 and etag_of(response) != etag):
            raise RequestFailed("The object was replaced or removed while it was read. Run this again.", "Changed")
        self._refuse_all_but_success(response, GET, key)
        # Some stores send a range with status 200. The length tells, as only a whole object can be as long as that.
        if response.length != length:
            raise RequestFailed(
                f"The store sent {response.length} bytes with status {response.status} where {length} bytes from "
                f"{offset} on were asked for: it does not know ranges (GET with Range). Restore this object by another "
                "way.",
                "NoRange",
            )
        return b"".join(kept)

    async def create_multipart(self, key: str, checksum: str = "") -> MultipartUpload:
        """Begins an upload; ``checksum`` names what its parts have instead of an MD5, where the store takes it."""
        ids: list[str] = []
        headers = list(self._kept)
        if checksum:
            headers.append(("x-amz-checksum-algorithm", checksum.upper()))
            headers.append(("x-amz-checksum-type", "FULL_OBJECT"))
        response = await self._client.request(
            CREATE_MULTIPART,
            "POST",
            key,
            query=(("uploads", ""),),
            headers=headers,
            check=lambda response: ids.append(parse_upload_id(response.body)),
        )
        self._refuse_all_but_success(response, CREATE_MULTIPART, key)
        taken = response.headers.get("x-amz-checksum-algorithm", "").lower() == checksum
        uses_key = bool(response.headers.get(ALGORITHM_HEADER))
        return MultipartUpload(ids[-1], is_encrypted(response), checksum if taken else "", uses_key)

    async def upload_part(self, key: str, upload: MultipartUpload, number: int, body: Body, digest: Digest) -> str:
        """The part's ETag; ``number`` counts from 1."""
        response = await self._client.request(
            UPLOAD_PART,
            "PUT",
            key,
            query=(("partNumber", str(number)), ("uploadId", upload.upload_id)),
            headers=(digest.header, *self._customer_key),
            body=body,
        )
        self._refuse_all_but_success(response, UPLOAD_PART, key)
        if not upload.uses_key:
            self._check_encryption(response, key)
        return etag_of(response)

    async def refuses_wrong_checksum(self, key: str, upload: MultipartUpload, digest: Digest) -> bool:
        """Whether the store verifies a part's checksum: ``digest`` is not that of the part, which is one byte."""
        response = await self._client.request(
            UPLOAD_PART,
            "PUT",
            key,
            query=(("partNumber", "1"), ("uploadId", upload.upload_id)),
            headers=(digest.header, *self._customer_key),
            body=b"?",
            expected=_REFUSED_DIGEST,
        )
        return response.status >= 400 and response.status != 404

    async def complete_multipart(
        self, key: str, upload: MultipartUpload, etags: Sequence[str], checksums: Sequence[str] = ()
    ) -> str:
        """The object's ETag. RequestFailed of status 404: an attempt whose response was lost may have done it.

        ``checksums`` are those of the parts, in base64, where the parts were sent with them.
        """
        found: list[str] = []

        def check(response: Response) -> None:
            if b"<Error" in response.body:
                # S3 may send 200 first and the error in the body; it is classified by its code.
                status = status_of_late_error(error_details(response.body).get("Code", ""))
                late = Response(status, response.headers, response.body, response.length)
                raise self._classifier.retryable_error(late, COMPLETE_MULTIPART, key)
            found.append(parse_completed(response.body))

        headers = [_XML_TYPE, *self._customer_key]
        if checksums:
            headers.append(("x-amz-checksum-type", "FULL_OBJECT"))
        response = await self._client.request(
            COMPLETE_MULTIPART,
            "POST",
            key,
            query=(("uploadId", upload.upload_id),),
            headers=headers,
            body=completion_document(etags, upload.checksum.upper(), checksums),
            check=check,
        )
        if found:
            return found[-1]
        raise self._classifier.failed(RefusedError(response), COMPLETE_MULTIPART, key)

    async def abort_multipart(self, key: str, upload_id: str) -> None:
        """Nothing is left of the upload; one that is not there is fine."""
        query = (("uploadId", upload_id),)
        # A policy that demands the customer key may demand it of this too.
        await self._client.request(ABORT_MULTIPART, "DELETE", key, query=query, headers=self._customer_key)

    async def list_uploads(self, after_key: str = "", after_id: str = "") -> UploadsPage:
        """Multipart uploads under the prefix that were begun and neither completed nor aborted."""
        query = [("uploads", ""), ("prefix", self.prefix), ("max-uploads", "1000")]
        if after_key:
            query += [("key-marker", after_key), ("upload-id-marker", after_id)]
        pages: list[UploadsPage] = []
        response = await self._client.request(
            LIST_UPLOADS, "GET", query=query, check=lambda response: pages.append(parse_uploads(response.body))
        )
        if response.status == 404:
            # A store's way to say that there has never been one.
            return UploadsPage([], "", "")
        self._refuse_all_but_success(response, LIST_UPLOADS, "")
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

    def _refuse_all_but_success(self, response: Response, operation: Operation, key: str) -> None:
        if not 200 <= response.status < 300:
            raise self._classifier.failed(RefusedError(response), operation, key)

    def _check_encryption(self, response: Response, key: str) -> None:
        """Raises StoreError if the customer key went along and the store does not say that it was used."""
        if self._customer_key and not response.headers.get(ALGORITHM_HEADER):
            raise StoreError(
                f"The store took {key!r} with synapse_s3_sse_customer_key and does not say that it encrypted it: it "
                "ignores customer keys (SSE-C), and keeps objects in the clear. Use a store that knows SSE-C, or leave "
                "synapse_s3_sse_customer_key empty.",
                "CustomerKeyIgnored",
            )
