# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test objects: stored as the storage provider stores media, and removed without a trace where the keys allow it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ...settings.store import StoreSettings, sse_arguments
from ..explain import is_denied
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
    """Returns the store's answer, with the object's "VersionId" where the bucket keeps versions."""
    answer: Mapping[str, Any] = client.put_object(
        Bucket=settings.bucket, Key=key, Body=body, **new_object_arguments(settings)
    )
    return answer


def read_object(client: Any, settings: StoreSettings, key: str) -> tuple[bytes, str | None]:
    """The object's bytes and its version."""
    answer = client.get_object(Bucket=settings.bucket, Key=key, **sse_arguments(settings))
    return answer["Body"].read(), answer.get("VersionId")


def remove_object(client: Any, settings: StoreSettings, key: str, version: str | None = None) -> list[str]:
    """Removes the object, and in a versioned bucket its version too. Returns in words what could not be removed."""
    if version and _remove_version(client, settings, key, version):
        return []
    answer = client.delete_object(Bucket=settings.bucket, Key=key)
    marker = answer.get("VersionId") if answer.get("DeleteMarker") else None
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
