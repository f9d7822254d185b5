# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared by the checks of the benchmarks' S3 server."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
from paths import ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY
from s3_store import Store


def digest(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def same(what: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        sys.exit(f"check: {what}: {found!r}, wanted {wanted!r}")
    print(f"  {what}")


def client(store: Store) -> Any:
    return boto3.session.Session().client(
        "s3",
        endpoint_url=store.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=SECRET_ACCESS_KEY,
        verify=str(store.certificate) if store.certificate else None,
        config=botocore.config.Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
    )


def code_of(operation: Any, **arguments: Any) -> str:
    try:
        operation(Bucket=BUCKET, **arguments)
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    return "no error"
