# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes a bucket: only if it is empty, or if the operator has repeated its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..synapse_media.errors import ConfigurationError, StoreError
from ..synapse_media.s3.boto.client import CLIENT_EXCEPTIONS
from ..synapse_media.s3.explain import error_code, explain, is_denied, is_refusal
from ..synapse_media.settings.store import StoreSettings
from .setup import bucket_exists

_ABSENT = ("NoSuchBucket", "NoSuchKey", "NoSuchVersion", "404")


def remove(client: Any, settings: StoreSettings, *, confirm_name: str, check_mode: bool) -> bool:
    """Removes it and says whether it was there. Raises ConfigurationError where it holds anything and is not confirmed.

    With `confirm_name` set to the bucket's name, every object, every version and every unfinished upload in it is
    removed too, whatever put them there.
    """
    if not bucket_exists(client, settings):
        return False
    try:
        held = _versions(client, settings.bucket)
        if held and confirm_name != settings.bucket:
            key, version = held[0]
            raise ConfigurationError(
                f"The bucket {settings.bucket!r} is not empty: it holds {key!r}"
                + (f" (version {version})" if version else "")
                + ". Nothing was removed. Empty it, or set confirm_name to the bucket's name to remove it with all that"
                " is in it, all versions included: media that is nowhere else is then lost."
            )
        if check_mode:
            return True
        # Asked again after each page: what is removed is no longer listed.
        while held:
            for key, version in held:
                chosen = {"VersionId": version} if version else {}
                _unless_absent(client.delete_object, Bucket=settings.bucket, Key=key, **chosen)
            held = _versions(client, settings.bucket)
        for key, upload in _uploads(client, settings.bucket):
            _unless_absent(client.abort_multipart_upload, Bucket=settings.bucket, Key=key, UploadId=upload)
        client.delete_bucket(Bucket=settings.bucket)
    except CLIENT_EXCEPTIONS as error:
        raise _told(error, settings) from error
    return True


def _told(error: Exception, settings: StoreSettings) -> StoreError:
    permission = (
        "s3:DeleteBucket, s3:ListBucketVersions and s3:ListBucketMultipartUploads on the bucket, and s3:DeleteObject, "
        "s3:DeleteObjectVersion and s3:AbortMultipartUpload on its objects"
    )
    return explain(error, settings, f"removing the bucket {settings.bucket!r}", permission=permission)


def _versions(client: Any, bucket: str) -> list[tuple[str, str | None]]:
    """Key and version of the first page of all versions and delete markers, or of all objects where it has none."""
    try:
        page = client.list_object_versions(Bucket=bucket)
    except CLIENT_EXCEPTIONS as error:
        if not is_refusal(error) or is_denied(error) or error_code(error) in _ABSENT:
            raise
        page = {}
    versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    if versions:
        return [(found["Key"], found.get("VersionId")) for found in versions]
    return [(found["Key"], None) for found in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


def _uploads(client: Any, bucket: str) -> Iterator[tuple[str, str]]:
    try:
        page = client.list_multipart_uploads(Bucket=bucket)
    except CLIENT_EXCEPTIONS as error:
        # Some stores say so where there are none.
        if is_refusal(error) and not is_denied(error):
            return
        raise
    for found in page.get("Uploads", []):
        yield found["Key"], found["UploadId"]


def _unless_absent(action: Any, **arguments: Any) -> None:
    try:
        action(**arguments)
    except CLIENT_EXCEPTIONS as error:
        if error_code(error) not in _ABSENT:
            raise
