# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that a probe or a round trip stores, and whether the store encrypts them with the customer key.

Many stores take the headers of a customer key, and keep everything in the clear.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from ...errors import StoreError
from ...settings.store import StoreSettings, sse_arguments
from ..explain import error_status, is_denied, is_refusal
from .client import CLIENT_EXCEPTIONS


def unique_key(settings: StoreSettings) -> str:
    """A key nothing else uses, under the prefix because permissions may end there."""
    return f"{settings.prefix}.synapse-s3-test-{secrets.token_hex(16)}"


def fixed_key(settings: StoreSettings) -> str:
    """The key that every test uses where nothing can be deleted, so that one object stays at most."""
    return f"{settings.prefix}.synapse-s3-test"


def new_object_arguments(settings: StoreSettings) -> dict[str, str]:
    """What the storage provider sends along with each new object."""
    return {"StorageClass": settings.storage_class, **sse_arguments(settings)}


def put_object(client: Any, settings: StoreSettings, key: str, body: bytes) -> Mapping[str, Any]:
    """Returns the store's response, with the object's "VersionId" where the bucket keeps versions."""
    response: Mapping[str, Any] = client.put_object(
        Bucket=settings.bucket, Key=key, Body=body, **new_object_arguments(settings)
    )
    return response


def read_object(client: Any, settings: StoreSettings, key: str) -> tuple[bytes, str | None]:
    """The object's bytes and its version."""
    response = client.get_object(Bucket=settings.bucket, Key=key, **sse_arguments(settings))
    return response["Body"].read(), response.get("VersionId")


def remove_object(client: Any, settings: StoreSettings, key: str, version: str | None = None) -> list[str]:
    """Removes the object, and in a versioned bucket its version too. Returns in words what could not be removed."""
    if version and _remove_version(client, settings, key, version):
        return []
    response = client.delete_object(Bucket=settings.bucket, Key=key)
    marker = response.get("VersionId") if response.get("DeleteMarker") else None
    left = [f"version {version} of {key}"] if version else []
    if marker and (version or not _remove_version(client, settings, key, marker)):
        left.append(f"a delete marker at {key}")
    return left


def _remove_version(client: Any, settings: StoreSettings, key: str, version: str) -> bool:
    try:
        client.delete_object(Bucket=settings.bucket, Key=key, VersionId=version)
    except CLIENT_EXCEPTIONS as error:
        if is_denied(error):
            return False
        raise
    return True


_REMEDY = (
    "Use a store that supports SSE-C, or leave synapse_s3_sse_customer_key empty. What was stored there so far is not "
    "encrypted."
)
# What a store responses where a request lacks the key: AWS, Ceph and SeaweedFS say 400, some say 403.
_KEY_NEEDED = (400, 403)


class EncryptionError(StoreError):
    """The store ignores the customer key."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "CustomerKeyIgnored")


def require_echo(response: Mapping[str, Any], settings: StoreSettings, operation: str) -> None:
    """Raises EncryptionError if the response to a request that stores data does not confirm the customer key."""
    if not settings.sse_customer_key:
        return
    given_digest = response.get("SSECustomerKeyMD5")
    if response.get("SSECustomerAlgorithm") != settings.sse_customer_algo or given_digest not in (
        None,
        "",
        _digest(settings.sse_customer_key),
    ):
        raise not_confirmed(operation)


def not_confirmed(operation: str) -> EncryptionError:
    return EncryptionError(
        "The store ignores synapse_s3_sse_customer_key and keeps what it is sent unencrypted: its answer to "
        f"{operation} does not confirm the key. {_REMEDY}"
    )


def require_key_to_read(client: Any, settings: StoreSettings, key: str) -> None:
    """Raises EncryptionError if an object that was stored with the customer key is given out without it.

    Some stores confirm a key that they do not use. Raises what the client raises if the store does not answer.
    """
    if not settings.sse_customer_key:
        return
    # First with the key, so that a refusal without it is about the key.
    client.head_object(Bucket=settings.bucket, Key=key, **sse_arguments(settings))
    try:
        client.head_object(Bucket=settings.bucket, Key=key)
    except CLIENT_EXCEPTIONS as error:
        if is_refusal(error) and error_status(error) in _KEY_NEEDED:
            return
        raise
    raise EncryptionError(
        "The store confirms synapse_s3_sse_customer_key and does not use it: the object "
        f"{key}, which was stored with the key, can be read without it. {_REMEDY}"
    )


def _digest(key: str) -> str:
    return base64.b64encode(hashlib.md5(key.encode(), usedforsecurity=False).digest()).decode()
