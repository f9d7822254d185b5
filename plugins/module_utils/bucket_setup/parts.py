# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a bucket's set-up: how each is read, what is wanted of it, and how it is written."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from ..synapse_media.s3.boto.client import CLIENT_EXCEPTIONS
from ..synapse_media.s3.explain import error_code
from . import lifecycle, policy
from .wanted import UNCHANGED, Wanted

# The groups of S3's access control lists that stand for everybody.
_EVERYBODY = (
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
)
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
# With these Ceph 16 refuses every upload, and every policy. The others keep a bucket private without them.
_AWS_ONLY = ("BlockPublicAcls", "BlockPublicPolicy")


@dataclasses.dataclass
class State:
    """What the parts share: `values` are those of the parts before, as they are, or will be after this run."""

    client: Any
    bucket: str
    prefix: str
    wanted: Wanted
    is_aws: bool
    existed: bool
    #: Objects below this size do not move to another class; as read, to be written again.
    least_size_to_move: str | None = None
    values: dict[str, Any] = dataclasses.field(default_factory=dict)


class Part(ABC):
    """One part. `permissions` are the actions that reading and writing it need, for messages."""

    name: str
    title: str
    permissions: str
    # Codes with which stores say that nothing is set.
    unset_codes: tuple[str, ...] = ()
    # The client's method that removes the setting. Empty for a part that always has a value, or is never removed.
    operation_to_unset = ""
    # Without a wish it is not even read, so that the keys need no permission for it.
    only_if_asked_for = False
    # Whether there are stores that take it and refuse uploads with it.
    may_stop_uploads = False

    def read(self, state: State) -> Any:
        """Its value as the store has it; None if nothing is set. Raises what the client raises."""
        try:
            return self.get(state)
        except CLIENT_EXCEPTIONS as error:
            if error_code(error) in self.unset_codes:
                return None
            raise

    @abstractmethod
    def get(self, state: State) -> Any: ...

    @abstractmethod
    def target(self, state: State, current: Any) -> Any:
        """The value that is wanted, and `current` itself if it may stay."""

    def write(self, state: State, value: Any) -> None:
        """Sets the value; None removes the setting, which is there then. Raises what the client raises."""
        if value is None:
            getattr(state.client, self.operation_to_unset)(Bucket=state.bucket)
        else:
            self.put(state, value)

    @abstractmethod
    def put(self, state: State, value: Any) -> None: ...

    @abstractmethod
    def is_asked_for(self, wanted: Wanted) -> bool:
        """Whether the operator has named it: then a store that lacks it is an error, else a warning."""

    def is_equal(self, one: Any, other: Any) -> bool:
        return bool(self.shown(one) == self.shown(other))

    def shown(self, value: Any) -> Any:
        """In one form, of the several that stores answer with."""
        return value


class PublicAccessBlock(Part):
    name = "public_access_block"
    title = "the block of public access"
    permissions = "s3:GetBucketPublicAccessBlock and s3:PutBucketPublicAccessBlock"
    unset_codes = ("NoSuchPublicAccessBlockConfiguration",)
    operation_to_unset = "delete_public_access_block"
    may_stop_uploads = True

    def get(self, state: State) -> Any:
        answer = state.client.get_public_access_block(Bucket=state.bucket)
        return {name: bool(answer["PublicAccessBlockConfiguration"].get(name)) for name in _BLOCKS}

    def target(self, state: State, current: Any) -> Any:
        if state.wanted.block_public_access is False:
            return current
        target = dict.fromkeys(_BLOCKS, True)
        if state.wanted.block_public_access is None and not state.is_aws:
            target.update({name: bool(current and current[name]) for name in _AWS_ONLY})
        return target

    def put(self, state: State, value: Any) -> None:
        state.client.put_public_access_block(Bucket=state.bucket, PublicAccessBlockConfiguration=value)

    def is_asked_for(self, wanted: Wanted) -> bool:
        return wanted.block_public_access is True


class AccessControlList(Part):
    """Only looked at for grants to everybody: a list that names others stays."""

    name = "acl"
    title = "the access control list"
    permissions = "s3:GetBucketAcl and s3:PutBucketAcl"

    def get(self, state: State) -> Any:
        grants = state.client.get_bucket_acl(Bucket=state.bucket).get("Grants", [])
        return "public" if any(grant.get("Grantee", {}).get("URI") in _EVERYBODY for grant in grants) else "private"

    def target(self, state: State, current: Any) -> Any:
        return current if state.wanted.block_public_access is False else "private"

    def put(self, state: State, value: Any) -> None:
        state.client.put_bucket_acl(Bucket=state.bucket, ACL=value)

    def is_asked_for(self, wanted: Wanted) -> bool:
        return wanted.block_public_access is True


class Versioning(Part):
    name = "versioning"
    title = "versioning"
    permissions = "s3:GetBucketVersioning and s3:PutBucketVersioning"

    def get(self, state: State) -> Any:
        return state.client.get_bucket_versioning(Bucket=state.bucket).get("Status")

    def target(self, state: State, current: Any) -> Any:
        wanted = state.wanted.versioning
        if wanted == UNCHANGED or (wanted == "suspended" and current is None):
            return current
        # Somebody who has suspended it had a reason, and only an explicit wish turns it on again.
        if wanted is None and current == "Suspended":
            return current
        return "Suspended" if wanted == "suspended" else "Enabled"

    def put(self, state: State, value: Any) -> None:
        state.client.put_bucket_versioning(Bucket=state.bucket, VersioningConfiguration={"Status": value})

    def is_asked_for(self, wanted: Wanted) -> bool:
        return wanted.versioning not in (None, UNCHANGED)


class Encryption(Part):
    name = "encryption"
    title = "default encryption"
    permissions = "s3:GetEncryptionConfiguration and s3:PutEncryptionConfiguration"
    unset_codes = ("ServerSideEncryptionConfigurationNotFoundError",)
    operation_to_unset = "delete_bucket_encryption"
    may_stop_uploads = True

    def get(self, state: State) -> Any:
        answer = state.client.get_bucket_encryption(Bucket=state.bucket)["ServerSideEncryptionConfiguration"]
        # Ceph 16 answers without rules where AWS says that nothing is set.
        rules = answer.get("Rules") or [{}]
        found = rules[0].get("ApplyServerSideEncryptionByDefault", {})
        if "SSEAlgorithm" not in found:
            return None
        value = {"algorithm": found["SSEAlgorithm"]}
        if found.get("KMSMasterKeyID"):
            value["kms_key_id"] = found["KMSMasterKeyID"]
        return value

    def target(self, state: State, current: Any) -> Any:
        wanted = state.wanted
        # Some stores take it and refuse uploads with it. That is tried out in a new bucket only, or if asked for.
        if wanted.encryption == UNCHANGED or (wanted.encryption is None and (current is not None or state.existed)):
            return current
        value = {"algorithm": wanted.encryption or "AES256"}
        if wanted.kms_key_id:
            value["kms_key_id"] = wanted.kms_key_id
        elif current and current["algorithm"] == value["algorithm"]:
            return current
        return value

    def put(self, state: State, value: Any) -> None:
        default = {"SSEAlgorithm": value["algorithm"]}
        if "kms_key_id" in value:
            default["KMSMasterKeyID"] = value["kms_key_id"]
        # With a key for the bucket, KMS is not asked for each object.
        rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": default}
        if value["algorithm"] == "aws:kms":
            rule["BucketKeyEnabled"] = True
        state.client.put_bucket_encryption(Bucket=state.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})

    def is_asked_for(self, wanted: Wanted) -> bool:
        return wanted.encryption not in (None, UNCHANGED)


class Lifecycle(Part):
    name = "lifecycle"
    title = "lifecycle rules"
    permissions = "s3:GetLifecycleConfiguration and s3:PutLifecycleConfiguration"
    unset_codes = ("NoSuchLifecycleConfiguration",)
    operation_to_unset = "delete_bucket_lifecycle"

    def get(self, state: State) -> Any:
        answer = state.client.get_bucket_lifecycle_configuration(Bucket=state.bucket)
        state.least_size_to_move = answer.get("TransitionDefaultMinimumObjectSize")
        return answer.get("Rules") or None

    def target(self, state: State, current: Any) -> Any:
        versioned = state.values.get(Versioning.name) is not None
        rules = lifecycle.our_rules(state.wanted, state.prefix, versioned=versioned)
        return lifecycle.merged(current or [], rules) or None

    def put(self, state: State, value: Any) -> None:
        kept = {"TransitionDefaultMinimumObjectSize": state.least_size_to_move} if state.least_size_to_move else {}
        state.client.put_bucket_lifecycle_configuration(
            Bucket=state.bucket, LifecycleConfiguration={"Rules": value}, **kept
        )

    def is_asked_for(self, wanted: Wanted) -> bool:
        days = (wanted.abort_uploads_days, wanted.expire_noncurrent_days, wanted.expire_trash_days)
        return any(days) or wanted.transition_class is not None

    def shown(self, value: Any) -> Any:
        return lifecycle.in_one_form(value or [])


class Policy(Part):
    name = "policy"
    title = "the bucket policy"
    permissions = "s3:GetBucketPolicy and s3:PutBucketPolicy"
    unset_codes = ("NoSuchBucketPolicy",)
    operation_to_unset = "delete_bucket_policy"
    only_if_asked_for = True

    def get(self, state: State) -> Any:
        text = state.client.get_bucket_policy(Bucket=state.bucket).get("Policy")
        return json.loads(text) if text else None

    def target(self, state: State, current: Any) -> Any:
        wanted = state.wanted
        if wanted.policy is not None:
            return dict(wanted.policy) or None
        if wanted.grants is None:
            return current
        document = policy.with_grants(current, state.bucket, state.prefix, wanted.grants)
        return document if document["Statement"] else None

    def put(self, state: State, value: Any) -> None:
        state.client.put_bucket_policy(Bucket=state.bucket, Policy=json.dumps(value))

    def is_asked_for(self, wanted: Wanted) -> bool:
        return wanted.policy is not None or wanted.grants is not None

    def is_equal(self, one: Any, other: Any) -> bool:
        return policy.comparable(one) == policy.comparable(other)


class Cors(Part):
    name = "cors"
    title = "CORS rules"
    permissions = "s3:GetBucketCORS and s3:PutBucketCORS"
    unset_codes = ("NoSuchCORSConfiguration",)
    operation_to_unset = "delete_bucket_cors"
    only_if_asked_for = True

    def get(self, state: State) -> Any:
        return state.client.get_bucket_cors(Bucket=state.bucket).get("CORSRules") or None

    def target(self, state: State, current: Any) -> Any:
        if state.wanted.cors_rules is None:
            return current
        return [_cors_rule(rule) for rule in state.wanted.cors_rules] or None

    def put(self, state: State, value: Any) -> None:
        state.client.put_bucket_cors(Bucket=state.bucket, CORSConfiguration={"CORSRules": value})

    def is_asked_for(self, wanted: Wanted) -> bool:
        return wanted.cors_rules is not None


def _cors_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        "AllowedOrigins": "allowed_origins",
        "AllowedMethods": "allowed_methods",
        "AllowedHeaders": "allowed_headers",
        "ExposeHeaders": "expose_headers",
        "MaxAgeSeconds": "max_age_seconds",
    }
    return {name: rule[option] for name, option in names.items() if rule.get(option)}


# In the order in which they are set: private before anything else, versions before the rule that expires them.
PARTS: tuple[Part, ...] = (
    PublicAccessBlock(),
    AccessControlList(),
    Versioning(),
    Encryption(),
    Lifecycle(),
    Policy(),
    Cors(),
)
