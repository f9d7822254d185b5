# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Proves that an object gets into the bucket and back the same, through Synapse or directly, and removes it again."""

from __future__ import annotations

import dataclasses
import secrets
import time
from typing import Any, NamedTuple, Protocol

from ...disk.layout import LOCAL, Media, content_path
from ...errors import HomeserverError, StoreError
from ...settings.store import StoreSettings
from ..explain import explain, is_denied, is_refusal
from .client import CLIENT_EXCEPTIONS
from .trial_objects import (
    fixed_key,
    put_object,
    read_object,
    remove_object,
    require_echo,
    require_key_to_read,
    unique_key,
)

POLL_SECONDS = 0.5


class Uploaded(NamedTuple):
    """One media as its URI names it."""

    server_name: str
    media_id: str

    def __str__(self) -> str:
        return f"mxc://{self.server_name}/{self.media_id}"


class Homeserver(Protocol):
    """What a round trip needs of Synapse."""

    def upload(self, body: bytes) -> Uploaded:
        """Upload a media through the client API."""

    def download(self, media: Uploaded) -> bytes:
        """Download it through the client API."""

    def delete(self, media: Uploaded) -> bool:
        """False if the user may not delete media."""


@dataclasses.dataclass(frozen=True)
class RoundTrip:
    """What was proven."""

    through: str
    key: str
    size: int
    seen_after_seconds: float
    media: str | None = None


class RoundTripper:
    """After a round trip, also one that failed, `left_behind` says in words what could not be removed."""

    def __init__(self, client: Any, settings: StoreSettings, timeout: float) -> None:
        self._client = client
        self._settings = settings
        self._timeout = timeout
        self.left_behind: list[str] = []

    def through_bucket(self) -> RoundTrip:
        """Stores an object with the keys alone."""
        body = _unique_body()
        may_delete = self._may_delete()
        key = unique_key(self._settings) if may_delete else fixed_key(self._settings)
        started = time.monotonic()
        try:
            stored = put_object(self._client, self._settings, key, body)
        except CLIENT_EXCEPTIONS as error:
            if may_delete and not is_refusal(error):
                self._remove(key, None)  # it may have arrived all the same
            raise self._explained(error, f"storing {key}", "s3:PutObject on the bucket's objects") from error
        try:
            require_echo(stored, self._settings, "PutObject")
            self._wait_until_listed(key, "Look into the store's log, and for a cache in front of it.")
            seen_after = time.monotonic() - started
            self._compare(self._read(key)[0], body, f"The object {key} came back from the bucket")
            self._require_key_to_read(key)
        finally:
            if may_delete:
                self._remove(key, stored.get("VersionId"))
            else:
                self.left_behind.append(f"the object {key}, which the next round trip uses again")
        return RoundTrip("bucket", key, len(body), seen_after)

    def through_synapse(self, homeserver: Homeserver) -> RoundTrip:
        """Uploads media as a user does, and finds it in the bucket."""
        body = _unique_body()
        started = time.monotonic()
        media = homeserver.upload(body)
        key = self._settings.prefix + content_path(Media(LOCAL, "", media.media_id))
        version: str | None = None
        try:
            self._wait_until_listed(
                key,
                "Check that Synapse was restarted with the storage provider and that "
                "synapse_s3_storage_provider_store_local is true, and look into Synapse's log for errors of S3.",
            )
            seen_after = time.monotonic() - started
            content, version = self._read(key)
            self._compare(content, body, f"The object {key}, which Synapse stored, came back from the bucket")
            self._require_key_to_read(key)
            self._compare(homeserver.download(media), body, f"The media {media} came back from Synapse")
        finally:
            self._delete_media(homeserver, media)
            self._remove(key, version)
        return RoundTrip("synapse", key, len(body), seen_after, str(media))

    def _may_delete(self) -> bool:
        try:
            self.left_behind += remove_object(self._client, self._settings, unique_key(self._settings))
        except CLIENT_EXCEPTIONS as error:
            if is_denied(error):
                return False
            doing = f"deleting from the bucket {self._settings.bucket!r}"
            raise self._explained(error, doing, "s3:DeleteObject on its objects") from error
        return True

    def _wait_until_listed(self, key: str, remedy: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not self._is_listed(key):
            if time.monotonic() >= deadline:
                raise StoreError(
                    f"The object {key} did not appear in the bucket {self._settings.bucket!r} "
                    f"within {self._timeout:g} seconds. {remedy}",
                    "NotSeen",
                )
            time.sleep(POLL_SECONDS)

    def _is_listed(self, key: str) -> bool:
        try:
            page = self._client.list_objects_v2(Bucket=self._settings.bucket, Prefix=key, MaxKeys=1)
        except CLIENT_EXCEPTIONS as error:
            doing = f"listing the bucket {self._settings.bucket!r}"
            raise self._explained(error, doing, "s3:ListBucket on the bucket") from error
        return any(item["Key"] == key for item in page.get("Contents", []))

    def _read(self, key: str) -> tuple[bytes, str | None]:
        try:
            return read_object(self._client, self._settings, key)
        except CLIENT_EXCEPTIONS as error:
            raise self._explained(error, f"reading {key}", "s3:GetObject on the bucket's objects") from error

    def _require_key_to_read(self, key: str) -> None:
        try:
            require_key_to_read(self._client, self._settings, key)
        except CLIENT_EXCEPTIONS as error:
            raise self._explained(error, f"reading {key}", "s3:GetObject on the bucket's objects") from error

    def _compare(self, content: bytes, body: bytes, subject: str) -> None:
        if content != body:
            raise StoreError(
                f"{subject} with other content than was stored ({len(content)} bytes for {len(body)}). "
                "Do not put media there; look for a cache or a gateway in front of synapse_s3_endpoint_url.",
                "ContentDiffers",
            )

    # What these two meet is noted, not raised: it must not take the place of the error that ended the round trip.

    def _delete_media(self, homeserver: Homeserver, media: Uploaded) -> None:
        try:
            if not homeserver.delete(media):
                self.left_behind.append(f"the media {media} in Synapse, whose token is not an administrator's")
        except HomeserverError as error:
            self.left_behind.append(f"the media {media} in Synapse ({error})")

    def _remove(self, key: str, version: str | None) -> None:
        try:
            self.left_behind += remove_object(self._client, self._settings, key, version)
        except CLIENT_EXCEPTIONS as error:
            refusal = self._explained(error, "deleting it", "s3:DeleteObject on the bucket's objects")
            self.left_behind.append(f"the object {key} ({refusal})")

    def _explained(self, error: Exception, doing: str, permission: str) -> StoreError:
        return explain(error, self._settings, doing, permission=permission)


def _unique_body() -> bytes:
    return f"synapse-s3 round trip {secrets.token_hex(16)}\n".encode()
