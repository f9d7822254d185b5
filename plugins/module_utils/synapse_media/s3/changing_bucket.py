# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bucket in which objects are copied and deleted. Only garbage collection has one: nothing else can delete."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from ..errors import RequestFailed
from ..settings.store import StoreSettings
from .bucket import Bucket
from .client import Client
from .error_classifier import status_of_late_error
from .errors import RefusedError, error_details
from .objects import ObjectInfo, object_info
from .operations import COPY, DELETE
from .transport.errors import ResponseParserError
from .transport.response import Response

# CopyObject takes no larger one.
LARGEST_COPY = 5 * 1024**3
# What stores say of the header If-Match with a DELETE that do not know it.
_UNKNOWN_CONDITION = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest", "400"})
_CHANGED = 412
_GONE = 404
_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-"
_SOURCE_CUSTOMER_KEY = "x-amz-copy-source-server-side-encryption-customer-"
_COPIED = re.compile(r"<CopyObjectResult.*</CopyObjectResult\s*>", re.DOTALL)


class Version(NamedTuple):
    """One version of an object; `version_id` is empty where the bucket keeps no versions."""

    info: ObjectInfo
    version_id: str


class ChangingBucket(Bucket):
    """As every bucket; and objects are copied within it and deleted from it."""

    def __init__(self, client: Client, settings: StoreSettings) -> None:
        super().__init__(client, settings)
        self._name = settings.bucket
        self._source_key = tuple(
            (name.replace(_CUSTOMER_KEY, _SOURCE_CUSTOMER_KEY), value) for name, value in self._customer_key
        )

    async def look_at(self, key: str) -> Version | None:
        """The current version of an object; None if there is none."""
        response = await self._head(key)
        if response is None:
            return None
        version_id = response.headers.get("x-amz-version-id", "")
        return Version(
            object_info(response, int(response.headers["content-length"])),
            "" if version_id == "null" else version_id,
        )

    async def copy(self, source: str, target: str, etag: str) -> bool:
        """Copies an object, if it still has this ETag (without quotes; empty for a store that gives none).

        False if it has another one, or is gone. That the store has done what it says is for the caller to look at.
        """

        def check(response: Response) -> None:
            if b"<Error" in response.body:
                # S3 may send 200 first and the error in the body; it is classified by its code.
                status = status_of_late_error(error_details(response.body).get("Code", ""))
                late = Response(status, response.headers, response.body, response.length)
                raise self._classifier.retryable_error(late, COPY, target)
            if not _COPIED.search(response.body.decode("utf-8", "replace")):
                raise ResponseParserError("the answer does not say that the object was copied")

        # The content type and other metadata are those of the source.
        kept = [header for header in self._kept if header[0] != "content-type"]
        headers = [("x-amz-copy-source", quote(f"/{self._name}/{source}", safe="/~")), *self._source_key, *kept]
        if etag:
            headers.append(("x-amz-copy-source-if-match", f'"{etag}"'))
        response = await self._client.request(COPY, "PUT", target, headers=headers, check=check)
        if response.status in (_CHANGED, _GONE):
            return False
        self._refuse_all_but_success(response, COPY, target)
        return True

    async def delete(self, key: str, etag: str = "") -> bool:
        """Deletes an object, only if it has this ETag where one is given. False if it has another one.

        Nothing is said of a key without an object. A bucket that keeps versions gets a delete marker.
        """
        headers = (("if-match", f'"{etag}"'),) if etag else ()
        response = await self._client.request(DELETE, "DELETE", key, headers=headers)
        if response.status == _CHANGED:
            return False
        if response.status != _GONE:
            self._refuse_all_but_success(response, DELETE, key)
        return True

    async def heeds_condition(self, key: str, wrong_etag: str) -> bool:
        """Whether a DELETE with an ETag that the object has not is refused for that. It may delete the object."""
        headers = (("if-match", f'"{wrong_etag}"'),)
        response = await self._client.request(DELETE, "DELETE", key, headers=headers, expected=_UNKNOWN_CONDITION)
        if response.status == _GONE:
            raise RequestFailed(f"The object {key!r} that was just put is not there. Run this again.", "Changed")
        if (
            response.status >= 400
            and response.status != _CHANGED
            and RefusedError(response).code not in (_UNKNOWN_CONDITION)
        ):
            self._refuse_all_but_success(response, DELETE, key)
        return response.status == _CHANGED
