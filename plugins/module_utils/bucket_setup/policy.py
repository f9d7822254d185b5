# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies with the least privileges: as IAM policies for the operator, and as statements of a bucket policy."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .wanted import Grant

Document = dict[str, Any]

VERSION = "2012-10-17"
OUR_SIDS = "SynapseS3"
# Aborting what a killed run has left unfinished is possible with the second of these.
_OF_BUCKET = ("s3:ListBucket", "s3:ListBucketMultipartUploads")
_OF_OBJECTS = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
# For garbage collection, which deletes no version.
_TO_DELETE = ("s3:DeleteObject",)


def least_privilege(bucket: str, prefix: str, *, delete: bool) -> Document:
    """An IAM policy for one user or role: what the storage provider and the migrate job need, or garbage collection."""
    return {"Version": VERSION, "Statement": _statements(bucket, prefix, delete=delete)}


def with_grants(existing: Mapping[str, Any] | None, bucket: str, prefix: str, grants: Sequence[Grant]) -> Document:
    """The bucket's policy with our statements for the grants, and the statements of others as they are."""
    kept = [statement for statement in statements_of(existing) if not is_ours(statement)]
    ours = []
    for number, grant in enumerate(grants, 1):
        for kind, statement in zip(("Bucket", "Objects"), _statements(bucket, prefix, delete=grant.delete)):
            ours.append({"Sid": f"{OUR_SIDS}{kind}{number}", "Principal": {"AWS": grant.principal}, **statement})
    return {**(existing or {}), "Version": (existing or {}).get("Version", VERSION), "Statement": kept + ours}


def is_ours(statement: Mapping[str, Any]) -> bool:
    return str(statement.get("Sid", "")).startswith(OUR_SIDS)


def statements_of(policy: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    statements = (policy or {}).get("Statement", [])
    return [statements] if isinstance(statements, Mapping) else list(statements)


def comparable(policy: Mapping[str, Any] | None) -> str:
    """One text for all forms of a policy: a single value may stand for a list of one, and lists have no order."""
    return json.dumps(_one_form(policy or {}), sort_keys=True)


def _one_form(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _one_form(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        forms = sorted((_one_form(each) for each in value), key=lambda each: json.dumps(each, sort_keys=True))
        return forms[0] if len(forms) == 1 else forms
    return value


def _statements(bucket: str, prefix: str, *, delete: bool) -> list[Document]:
    arn = f"arn:aws:s3:::{bucket}"
    return [
        {
            "Effect": "Allow",
            "Action": list(_OF_BUCKET),
            "Resource": arn,
        },
        {
            "Effect": "Allow",
            "Action": [*_OF_OBJECTS, *(_TO_DELETE if delete else ())],
            "Resource": f"{arn}/{prefix}*",
        },
    ]
