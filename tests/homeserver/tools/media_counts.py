# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How much media is on the disk and in the bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3

# The folders of the media store whose files are moved to a bucket; URL previews never are.
FOLDERS = ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail")


def on_disk(facts: dict[str, Any]) -> dict[str, int]:
    store = Path(facts["media_store_path"])
    sizes = [path.stat().st_size for folder in FOLDERS for path in (store / folder).rglob("*") if path.is_file()]
    return {"files": len(sizes), "bytes": sum(sizes)}


def in_bucket(facts: dict[str, Any]) -> dict[str, int]:
    """Return the objects that the S3 server lists."""
    s3 = facts["s3"]
    client = boto3.client(
        "s3",
        endpoint_url=s3["endpoint_url"],
        region_name=s3["region_name"],
        aws_access_key_id=s3["access_key_id"],
        aws_secret_access_key=s3["secret_access_key"],
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=s3["bucket"])
    sizes = [item["Size"] for page in pages for item in page.get("Contents", ())]
    return {"files": len(sizes), "bytes": sum(sizes)}
