#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket
short_description: Make a bucket for media, private and safe, or remove it
version_added: 1.2.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Makes the bucket if it does not exist, blocks public access, turns versioning and default encryption on, and sets
    lifecycle rules, as far as the store can.
  - What is left out is set where the store has it; a store that lacks it gets a warning. What is given is set, or the
    module fails with the answer of the store.
  - After each change the setting is read back. A store that says yes and keeps something else lacks it.
  - Lifecycle rules of ours have IDs that begin with C(synapse-s3-) and apply to keys under O(prefix); statements of
    ours in the bucket policy have Sids that begin with C(SynapseS3). All others stay.
  - Returns the policies with the least privileges for the keys of Synapse and of garbage collection.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
  - matrix_ops.synapse_s3.connection
attributes:
  check_mode:
    support: full
    details:
      - Some stores say what they lack only when it is set. Check mode predicts a change then, and the run warns.
  diff_mode:
    support: full
options:
  state:
    description:
      - V(present) makes the bucket and its settings.
      - V(absent) removes the bucket, if it is empty or O(confirm_name) permits more.
    type: str
    choices: [present, absent]
    default: present
  confirm_name:
    description:
      - The name of the bucket once more, with O(state=absent). It is then removed with all objects, all versions and
        all unfinished uploads in it.
    type: str
    default: ""
  block_public_access:
    description:
      - V(true) blocks public access, and makes a public access control list private.
      - V(false) leaves both as they are.
      - By default as V(true), where the store can, but for C(BlockPublicAcls) and C(BlockPublicPolicy) on stores other
        than AWS, because Ceph 16 refuses every upload with the one and every policy with the other.
      - A bucket that anyone can list nevertheless is a warning, and a failure with V(true).
    type: bool
  versioning:
    description:
      - Whether the bucket keeps what is overwritten or deleted.
      - By default V(enabled), where the store can, unless somebody has suspended it.
    type: str
    choices: [enabled, suspended, unchanged]
  encryption:
    description:
      - The default encryption of new objects.
      - By default V(AES256) for a bucket that the module makes, where the store can. An existing bucket stays as it is.
      - A store that refuses uploads with it, because it has no keys to encrypt with, gets the former setting back.
    type: str
    choices: [AES256, 'aws:kms', unchanged]
  kms_key_id:
    description: The key for O(encryption=aws:kms). By default the key that AWS manages.
    type: str
  abort_uploads_days:
    description:
      - Days after which unfinished uploads are removed. V(0) for never.
      - By default 7, where the store can.
    type: int
  expire_noncurrent_days:
    description:
      - Days for which the bucket keeps versions that were overwritten or deleted. V(0) for ever.
      - By default 30, where the bucket has versions.
    type: int
  transition_class:
    description: Storage class that objects move to after O(transition_days).
    type: str
    choices: [STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, GLACIER_IR]
  transition_days:
    description: Days after which objects move to O(transition_class). AWS wants at least 30 for V(STANDARD_IA).
    type: int
    default: 30
  trash_prefix:
    description:
      - The beginning of the keys of what garbage collection has moved out of the way. It is C(synapse-s3-trash/) after
        O(prefix).
    type: str
  expire_trash_days:
    description:
      - Days after which what is under O(trash_prefix) expires. V(0) for never.
      - Garbage collection empties its trash itself, and compares it with the database before. A lifecycle rule does
        not.
    type: int
    default: 0
  policy:
    description:
      - The whole bucket policy, in place of the existing one. An empty dictionary removes it.
      - By default it is left alone.
    type: dict
  grants:
    description:
      - Users or roles who get the least privileges by statements of the bucket policy. An empty list removes our
        statements.
      - By default the policy is left alone.
    type: list
    elements: dict
    suboptions:
      principal:
        description: ARN of the user or role. Ceph's users are V(arn:aws:iam:::user/NAME).
        type: str
        required: true
      delete:
        description: Whether it may delete objects too, which garbage collection needs and nothing else does.
        type: bool
        default: false
  cors_rules:
    description:
      - The CORS rules of the bucket, in place of the existing ones. An empty list removes them.
      - Synapse needs none. By default they are left alone.
    type: list
    elements: dict
    suboptions:
      allowed_origins:
        description: Origins that may ask, such as V(https://app.example.org).
        type: list
        elements: str
        required: true
      allowed_methods:
        description: Methods that they may use.
        type: list
        elements: str
        choices: [GET, HEAD, PUT, POST, DELETE]
        required: true
      allowed_headers:
        description: Headers that they may send.
        type: list
        elements: str
      expose_headers:
        description: Headers of the response that they may read.
        type: list
        elements: str
      max_age_seconds:
        description: Seconds for which a browser may keep the answer.
        type: int
requirements:
  - boto3
notes:
  - The keys need more than those of Synapse. Keep them off the host of Synapse, for example by running the module on
    the control node, as the role P(matrix_ops.synapse_s3.bucket#role) does.
seealso:
  - module: matrix_ops.synapse_s3.bucket_info
"""

EXAMPLES = r"""
- name: Make a bucket that is private, versioned and encrypted
  matrix_ops.synapse_s3.bucket:
    bucket: synapse-media
    region_name: eu-central-1
  delegate_to: localhost

- name: Let another user's keys do what Synapse needs, and keep deleted media for 90 days
  matrix_ops.synapse_s3.bucket:
    bucket: synapse-media
    endpoint_url: https://rgw.example.org
    region_name: us-east-1
    access_key_id: "{{ admin_access_key_id }}"
    secret_access_key: "{{ admin_secret_access_key }}"
    expire_noncurrent_days: 90
    grants:
      - principal: arn:aws:iam:::user/synapse
  delegate_to: localhost

- name: Remove an empty bucket
  matrix_ops.synapse_s3.bucket:
    bucket: synapse-media
    region_name: eu-central-1
    state: absent
  delegate_to: localhost
"""

RETURN = r"""
bucket:
  description: The bucket as it is after the run, or would be in check mode.
  returned: with O(state=present)
  type: dict
  contains:
    name:
      description: Name of the bucket.
      type: str
      returned: always
      sample: synapse-media
    existed:
      description: Whether it existed before.
      type: bool
      returned: always
    public:
      description: Whether anyone may list it without keys; V(null) if that was not tried.
      type: bool
      returned: always
    settings:
      description: For each part that the store has and that was looked at, its value, as the S3 API has it.
      type: dict
      returned: always
      sample: {"versioning": "Enabled"}
    lacking:
      description: For each part that was left to its default and that the store lacks, what it answered.
      type: dict
      returned: always
      sample: {}
policies:
  description: IAM policies with the least privileges, for C(synapse) and for C(garbage_collection).
  returned: with O(state=present)
  type: dict
code:
  description: The error code of the store, or the name of a connection error.
  returned: on failure
  type: str
  sample: AccessDenied
"""

import json
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.bucket_setup.policy import least_privilege
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.bucket_setup.removal import remove
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.bucket_setup.setup import (
    Outcome,
    is_public,
    send_md5,
    set_up,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.bucket_setup.wanted import (
    ENCRYPTION,
    TRANSITION_CLASSES,
    VERSIONING,
    Grant,
    Wanted,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError, StoreError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.client import (
    BOTO3_IMPORT_ERROR,
    make_client,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

STRINGS = {"type": "list", "elements": "str"}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "confirm_name": {"type": "str", "default": ""},
    "block_public_access": {"type": "bool"},
    "versioning": {"type": "str", "choices": list(VERSIONING)},
    "encryption": {"type": "str", "choices": list(ENCRYPTION)},
    # The name of a key, not a key.
    "kms_key_id": {"type": "str", "no_log": False},
    "abort_uploads_days": {"type": "int"},
    "expire_noncurrent_days": {"type": "int"},
    "transition_class": {"type": "str", "choices": list(TRANSITION_CLASSES)},
    "transition_days": {"type": "int", "default": 30},
    "trash_prefix": {"type": "str"},
    "expire_trash_days": {"type": "int", "default": 0},
    "policy": {"type": "dict"},
    "grants": {
        "type": "list",
        "elements": "dict",
        "options": {"principal": {"type": "str", "required": True}, "delete": {"type": "bool", "default": False}},
    },
    "cors_rules": {
        "type": "list",
        "elements": "dict",
        "options": {
            "allowed_origins": {**STRINGS, "required": True},
            "allowed_methods": {**STRINGS, "required": True, "choices": ["GET", "HEAD", "PUT", "POST", "DELETE"]},
            "allowed_headers": STRINGS,
            "expose_headers": STRINGS,
            "max_age_seconds": {"type": "int"},
        },
    },
}
NOT_WANTED = ("state", "confirm_name")


def run(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    settings = settings_from(params)
    client = _client(settings)
    if params["state"] == "absent":
        return _removed(module, settings, client)
    given = {name: params[name] for name in ARGUMENTS if name not in NOT_WANTED}
    if given["grants"] is not None:
        given["grants"] = [Grant(**grant) for grant in given["grants"]]
    wanted = Wanted(**given)
    outcome = set_up(client, settings, wanted, check_mode=module.check_mode)
    for text in outcome.lacking.values():
        module.warn(f"{text} The bucket works without it.")
    public = None
    if wanted.block_public_access is not False and (outcome.existed or not module.check_mode):
        public = is_public(make_client(settings, max_attempts=1, signed=False), settings)
        _tell_public(module, settings, wanted, public)
    return {
        "changed": outcome.changed,
        "bucket": {
            "name": settings.bucket,
            "existed": outcome.existed,
            "public": public,
            "settings": outcome.after,
            "lacking": outcome.lacking,
        },
        "policies": {
            "synapse": least_privilege(settings.bucket, settings.prefix, delete=False),
            "garbage_collection": least_privilege(settings.bucket, settings.prefix, delete=True),
        },
        "diff": _diff(settings, outcome),
    }


def _client(settings: StoreSettings) -> Any:
    client = make_client(settings, connect_timeout=10, read_timeout=30, max_attempts=3)
    send_md5(client)
    return client


def _removed(module: AnsibleModule, settings: StoreSettings, client: Any) -> dict[str, Any]:
    existed = remove(client, settings, confirm_name=module.params["confirm_name"], check_mode=module.check_mode)
    before = f"the bucket {settings.bucket}\n" if existed else ""
    return {"changed": existed, "diff": {"before": before, "after": ""}}


def _tell_public(module: AnsibleModule, settings: StoreSettings, wanted: Wanted, public: bool) -> None:
    if not public or module.check_mode:
        return
    text = (
        f"Anyone may list the bucket {settings.bucket!r} without keys, and so see what media there is. Look into its "
        "policy, and into the store's settings for anonymous access."
    )
    if wanted.block_public_access:
        raise StoreError(text, "PublicBucket")
    module.warn(text)


def _diff(settings: StoreSettings, outcome: Outcome) -> dict[str, str]:
    """All parts that were looked at, as YAML-like JSON: what is the same on both sides is not shown by Ansible."""
    after = {"bucket": settings.bucket, **outcome.after}
    before = {"bucket": settings.bucket, **outcome.before} if outcome.existed else {}
    return {"before": _text(before), "after": _text(after)}


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True, default=str) + "\n" if value else ""


def main() -> None:
    module = AnsibleModule(argument_spec={**CONNECTION_ARGUMENTS, **ARGUMENTS}, supports_check_mode=True)
    if BOTO3_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("boto3"), exception=BOTO3_IMPORT_ERROR)
    try:
        result = run(module)
    except StoreError as error:
        module.fail_json(msg=str(error), code=error.code)
    except MediaError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
