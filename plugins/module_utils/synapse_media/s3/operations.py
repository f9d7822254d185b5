# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operations of S3 that are used, and what the code that sends and retries requests has to know of each."""

from __future__ import annotations

from dataclasses import dataclass


# Compared by identity, so that it is a fast key.
@dataclass(frozen=True, eq=False)
class Operation:
    """One operation. `doing` says in a message what failed, with the key in it; `permission` is what the keys need."""

    #: As reports and metrics count it.
    name: str
    doing: str
    permission: str = "s3:PutObject on its objects"
    #: Whether a 404 is a result that the caller asks for.
    may_be_missing: bool = False
    #: Whether it concerns the bucket and no single object, so that a refusal is one of all that follows.
    of_bucket: bool = False
    #: Whether it reads an object, which may be refused for what the object is, such as one stored under another key.
    reads: bool = False
    #: Settings of the operator that each request carries.
    carries_storage_class: bool = False
    carries_customer_key: bool = False
    #: How many times as long as for others the store may take to respond.
    patience: int = 1


LIST = Operation("list", "listing the bucket", "s3:ListBucket on the bucket", of_bucket=True)
HEAD = Operation(
    "head",
    "asking for {!r}",
    "s3:GetObject on its objects and s3:ListBucket on the bucket",
    may_be_missing=True,
    reads=True,
    carries_customer_key=True,
)
PUT = Operation("put", "uploading {!r}", carries_storage_class=True, carries_customer_key=True)
GET = Operation(
    "get",
    "reading {!r} back",
    "s3:GetObject on its objects",
    may_be_missing=True,
    reads=True,
    carries_customer_key=True,
)
CREATE_MULTIPART = Operation(
    "create_multipart", "beginning the upload of {!r}", carries_storage_class=True, carries_customer_key=True
)
UPLOAD_PART = Operation("upload_part", "uploading a part of {!r}", may_be_missing=True, carries_customer_key=True)
# Putting the parts of a large file together takes a store longer than anything else.
COMPLETE_MULTIPART = Operation(
    "complete_multipart",
    "completing the upload of {!r}",
    may_be_missing=True,
    carries_customer_key=True,
    patience=5,
)
ABORT_MULTIPART = Operation(
    "abort_multipart",
    "aborting the upload of {!r}",
    "s3:AbortMultipartUpload on its objects",
    may_be_missing=True,
)
LIST_UPLOADS = Operation(
    "list_uploads",
    "listing the unfinished uploads",
    "s3:ListBucketMultipartUploads on the bucket",
    may_be_missing=True,
)
# The store copies the content itself, so a large object takes it long.
COPY = Operation(
    "copy",
    "copying to {!r}",
    "s3:GetObject and s3:PutObject on its objects",
    may_be_missing=True,
    carries_storage_class=True,
    carries_customer_key=True,
    patience=5,
)
DELETE = Operation("delete", "deleting {!r}", "s3:DeleteObject on its objects", may_be_missing=True)

OPERATIONS = (
    LIST,
    HEAD,
    PUT,
    GET,
    CREATE_MULTIPART,
    UPLOAD_PART,
    COMPLETE_MULTIPART,
    ABORT_MULTIPART,
    LIST_UPLOADS,
)
# Of a client that may change what the bucket holds already.
CHANGING_OPERATIONS = (*OPERATIONS, COPY, DELETE)
