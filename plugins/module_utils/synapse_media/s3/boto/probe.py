# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds out what the keys may do in the bucket, and leaves nothing behind, even with the least of permissions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from ...disk.layout import LOCAL_CONTENT
from ...errors import StoreError
from ...settings.store import StoreSettings, sse_arguments
from ..explain import (
    LEAST_PRIVILEGE,
    clock_skew,
    error_code,
    error_status,
    explain,
    is_denied,
    is_refusal,
    response_headers,
)
from .client import CLIENT_EXCEPTIONS
from .trial_objects import (
    EncryptionError,
    fixed_key,
    new_object_arguments,
    put_object,
    remove_object,
    require_echo,
    require_key_to_read,
    unique_key,
)

LIST, READ, WRITE, DELETE = ABILITIES = ("list", "read", "write", "delete")

_NOT_OFFERED = ("NotImplemented", "MethodNotAllowed", "405", "501")
_BAD_REQUEST = 400
_ABSENT = ("NoSuchKey", "404")
_NO_SUCH_UPLOAD = "synapse-s3-test"


@dataclasses.dataclass
class ProbeReport:
    """An ability that is missing from `refusals` and `tried` alike was not tried."""

    is_empty: bool | None = None
    clock_skew_seconds: int | None = None
    write_proof: str | None = None
    tried: list[str] = dataclasses.field(default_factory=list)
    refusals: dict[str, StoreError] = dataclasses.field(default_factory=dict)
    left_behind: list[str] = dataclasses.field(default_factory=list)

    def can(self, ability: str) -> bool | None:
        """None means not tried."""
        return ability not in self.refusals if ability in self.tried else None


def refusal_of(report: ProbeReport, settings: StoreSettings, required: Collection[str]) -> StoreError | None:
    """All that is required and refused, as one error."""
    refused = [report.refusals[ability] for ability in ABILITIES if ability in required and ability in report.refusals]
    if not refused:
        return None
    if all(report.can(ability) is False for ability in (LIST, READ, WRITE)):
        return StoreError(
            f"The keys may neither list nor read nor write the bucket {settings.bucket!r} ({refused[0].code}). "
            f"Grant them {LEAST_PRIVILEGE}, or correct synapse_s3_bucket, synapse_s3_access_key_id and "
            "synapse_s3_secret_access_key.",
            refused[0].code,
        )
    return StoreError(" ".join(str(refusal) for refusal in refused), refused[0].code)


def probe(client: Any, settings: StoreSettings, *, try_delete: bool = False) -> ProbeReport:
    """Raises StoreError if the question cannot even be put: wrong keys, no such bucket, no way to the store."""
    return _Probe(client, settings).run(try_delete)


class _Refusal(StoreError):
    pass


class _Probe:
    def __init__(self, client: Any, settings: StoreSettings) -> None:
        self._client = client
        self._settings = settings
        self._key = unique_key(settings)
        self._report = ProbeReport()

    def run(self, try_delete: bool) -> ProbeReport:
        bucket = f"the bucket {self._settings.bucket!r}"
        self._try(LIST, f"listing {bucket}", "s3:ListBucket on the bucket", self._list)
        self._try(READ, f"reading from {bucket}", self._permission_to_read(), self._read)
        permission = "s3:PutObject and s3:AbortMultipartUpload on its objects"
        self._try(WRITE, f"writing to {bucket}", permission, self._write)
        # Deleting what is absent leaves a marker in a versioned bucket, so it is tried only where it is asked for.
        if try_delete and self._report.can(DELETE) is None:
            self._try_delete()
        return self._report

    def _try(self, ability: str, doing: str, permission: str, action: Callable[[], None]) -> None:
        self._report.tried.append(ability)
        try:
            action()
        except (_Refusal, EncryptionError) as told:
            self._report.refusals[ability] = told
        except CLIENT_EXCEPTIONS as error:
            refusal = explain(error, self._settings, doing, permission=permission)
            # Until a listing shows otherwise, an error is about the keys or the bucket and goes for all abilities.
            if not is_refusal(error) or (ability == LIST and not is_denied(error)):
                raise refusal from error
            self._note_clock(response_headers(error))
            self._report.refusals[ability] = refusal

    def _try_delete(self) -> None:
        doing = f"deleting from the bucket {self._settings.bucket!r}"
        self._try(DELETE, doing, "s3:DeleteObject on its objects", self._delete_what_is_absent)

    def _permission_to_read(self) -> str:
        if self._report.can(LIST):
            return "s3:GetObject on its objects"
        return "s3:GetObject on its objects, and s3:ListBucket, without which AWS answers the same for absent objects"

    def _list(self) -> None:
        page = self._client.list_objects_v2(Bucket=self._settings.bucket, Prefix=self._settings.prefix, MaxKeys=1)
        if "Name" not in page and "IsTruncated" not in page:
            self._refuse_what_is_no_store()
        self._note_clock(page["ResponseMetadata"]["HTTPHeaders"])
        self._report.is_empty = not page.get("Contents")

    def _read(self) -> None:
        self._read_what_is_absent()
        media = self._a_media() if self._report.is_empty is False else None
        if media:
            self._read_what_is_there(media)

    def _read_what_is_absent(self) -> None:
        try:
            self._client.get_object(Bucket=self._settings.bucket, Key=self._key, **sse_arguments(self._settings))
        except CLIENT_EXCEPTIONS as error:
            if error_code(error) in _ABSENT:
                return
            raise
        self._refuse_what_is_no_store()

    def _a_media(self) -> str | None:
        page = self._client.list_objects_v2(
            Bucket=self._settings.bucket, Prefix=f"{self._settings.prefix}{LOCAL_CONTENT}/", MaxKeys=1
        )
        return next((str(item["Key"]) for item in page.get("Contents", [])), None)

    def _read_what_is_there(self, media: str) -> None:
        """Ceph says "absent" before it looks at permissions, and only what is there can show a wrong encryption key."""
        try:
            response = self._client.get_object(
                Bucket=self._settings.bucket, Key=media, Range="bytes=0-0", **sse_arguments(self._settings)
            )
        except CLIENT_EXCEPTIONS as error:
            denied = is_denied(error)
            # AWS responses a wrong encryption key with a plain denial.
            if error_status(error) == _BAD_REQUEST or (denied and self._settings.sse_customer_key):
                raise _Refusal(
                    f"The media {media} in the bucket cannot be read ({error_code(error)}): it was stored with another "
                    "encryption key, or without one. Set synapse_s3_sse_customer_key to what it was then; if it is "
                    "right, grant s3:GetObject on the bucket's objects.",
                    error_code(error),
                ) from error
            if denied or not is_refusal(error):
                raise
            # Anything else is about this one object: archived, empty, or gone since it was listed.
            return
        response["Body"].close()

    def _delete_what_is_absent(self) -> None:
        self._report.left_behind += remove_object(self._client, self._settings, self._key)

    def _write(self) -> None:
        started = self._start_upload() if self._may_abort_uploads() else None
        if started is None:
            self._write_and_delete()
            self._report.write_proof = "deleted_object"
        elif self._write_parts_and_abort(started):
            self._report.write_proof = "aborted_upload"
        else:
            # The store takes parts with another key than their upload's. That proves nothing against it: what counts is
            # whether a whole object can be read without its key.
            self._write_and_read_without_key()
            self._report.write_proof = "stored_object"

    def _may_abort_uploads(self) -> bool:
        try:
            self._client.abort_multipart_upload(Bucket=self._settings.bucket, Key=self._key, UploadId=_NO_SUCH_UPLOAD)
        except CLIENT_EXCEPTIONS as error:
            if not is_refusal(error):
                raise
            return not is_denied(error) and error_code(error) not in _NOT_OFFERED
        return True

    def _start_upload(self) -> Mapping[str, Any] | None:
        try:
            started: Mapping[str, Any] = self._client.create_multipart_upload(
                Bucket=self._settings.bucket, Key=self._key, **new_object_arguments(self._settings)
            )
        except CLIENT_EXCEPTIONS as error:
            if error_code(error) in _NOT_OFFERED:
                return None
            raise
        return started

    def _write_parts_and_abort(self, started: Mapping[str, Any]) -> bool:
        """False if the store has not shown that it uses the customer key."""
        upload = {"Bucket": self._settings.bucket, "Key": self._key, "UploadId": started["UploadId"]}
        try:
            # A read-only store starts an upload gladly and refuses its first part.
            part = self._client.upload_part(**upload, PartNumber=1, Body=b"test", **sse_arguments(self._settings))
            # SeaweedFS confirms the key in its response to the part alone.
            require_echo({**started, **part}, self._settings, "CreateMultipartUpload and UploadPart")
            return not self._settings.sse_customer_key or self._refuses_part_without_key(upload)
        finally:
            try:
                self._client.abort_multipart_upload(**upload)
            except CLIENT_EXCEPTIONS as error:
                raise explain(error, self._settings, f"aborting the unfinished upload of {self._key}") from error

    def _refuses_part_without_key(self, upload: Mapping[str, str]) -> bool:
        try:
            self._client.upload_part(**upload, PartNumber=2, Body=b"test")
        except CLIENT_EXCEPTIONS as error:
            if is_refusal(error) and error_status(error) == _BAD_REQUEST:
                return True
            raise
        return False

    def _write_and_read_without_key(self) -> None:
        if self._report.can(DELETE) is None:
            self._try_delete()
        if self._report.can(DELETE):
            self._store_and_remove(self._key)
            return
        key = fixed_key(self._settings)
        stored = put_object(self._client, self._settings, key, b"test")
        self._report.left_behind.append(f"the object {key}, which the next probe uses again")
        self._require_encryption(stored, key)

    def _write_and_delete(self) -> None:
        if self._report.can(DELETE) is None:
            self._try_delete()
        if not self._report.can(DELETE):
            raise _Refusal(
                f"Writing to the bucket {self._settings.bucket!r} cannot be tried without leaving something behind: "
                "the access key may neither abort an upload nor delete an object. Grant it s3:AbortMultipartUpload on "
                "the bucket's objects, or s3:DeleteObject where the store has no multipart uploads.",
                "AccessDenied",
            )
        self._store_and_remove(self._key)

    def _store_and_remove(self, key: str) -> None:
        stored = put_object(self._client, self._settings, key, b"test")
        try:
            self._require_encryption(stored, key)
        finally:
            version = stored.get("VersionId")
            self._report.left_behind += remove_object(self._client, self._settings, key, version)

    def _require_encryption(self, stored: Mapping[str, Any], key: str) -> None:
        require_echo(stored, self._settings, "PutObject")
        require_key_to_read(self._client, self._settings, key)

    def _note_clock(self, headers: Mapping[str, str]) -> None:
        skew = clock_skew(headers.get("date"))
        if skew is not None:
            self._report.clock_skew_seconds = round(skew)

    def _refuse_what_is_no_store(self) -> NoReturn:
        raise StoreError(
            f"{self._settings.endpoint_url or 'AWS S3'} answers, but not as an S3 store does. Set "
            "synapse_s3_endpoint_url to the S3 endpoint, not to the store's web console, with the right port.",
            "NotAStore",
        )
