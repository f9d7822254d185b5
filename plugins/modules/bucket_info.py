#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_info
short_description: Probe a bucket and the permissions of the keys
version_added: 1.0.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - Asks the store whether the bucket exists and whether the keys may list, read and write it.
  - Leaves nothing in the bucket, even if the keys may not delete. Writing is tested by a multipart upload of a few
    bytes that is aborted before it becomes an object. If the store has no multipart uploads, or the keys may not abort
    one, a small object is stored and deleted.
  - With O(sse_customer_key), fails if the store ignores the key and keeps objects unencrypted. If only a stored object
    shows that, a small one is stored; if the keys may not delete it, it stays and is named in RV(bucket.left_behind).
  - If the bucket contains media, one byte of one media is read, to detect a lost or changed encryption key.
  - Fails, and names the setting to change, if the bucket does not exist, the keys are wrong, the store cannot be
    reached, or a permission in O(require) is missing.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.attributes.info_module
  - matrix_ops.synapse_s3.attributes.connection_group
options:
  require:
    description:
      - The permissions that the keys must have.
      - V(list), V(read) and V(write) are always tested. V(delete) is tested only if it is in this list, because in a
        versioned bucket even the deletion of an absent object leaves a delete marker, which not every key may remove.
    type: list
    elements: str
    choices: [list, read, write, delete]
    default: [list, read, write]
requirements:
  - boto3
notes:
  - Reading and writing are tested on an object with a random name under O(prefix), with O(storage_class) and
    O(sse_customer_key), as the storage provider inside Synapse uses them.
seealso:
  - module: matrix_ops.synapse_s3.bucket_round_trip
"""

EXAMPLES = r"""
- name: Check that the keys may list, read and write the bucket
  matrix_ops.synapse_s3.bucket_info:
    bucket: synapse-media
    prefix: example.org/
    endpoint_url: https://s3.example.org
    region_name: eu-central-1
    access_key_id: "{{ synapse_s3_access_key_id }}"
    secret_access_key: "{{ synapse_s3_secret_access_key }}"

- name: Find out what the role of this instance may do
  matrix_ops.synapse_s3.bucket_info:
    bucket: synapse-media
    region_name: eu-central-1
    require: []
  register: probe

- name: Check that the clock of the host agrees with the store's
  ansible.builtin.assert:
    that: (probe.bucket.clock_skew_seconds | abs) < 60
"""

RETURN = r"""
bucket:
  description: What the store answered. A permission is V(null) if it was not tested.
  returned: if the store could be reached, also if a required permission is missing
  type: dict
  contains:
    name:
      description: Name of the bucket.
      type: str
      returned: always
      sample: synapse-media
    prefix:
      description: The prefix as it is used, without a slash added.
      type: str
      returned: always
      sample: example.org/
    exists:
      description: Whether the bucket exists; V(null) if every request was refused.
      type: bool
      returned: always
    is_empty:
      description: Whether there is no object under the prefix; V(null) if listing is refused.
      type: bool
      returned: always
    can_list:
      description: Whether the keys may list the bucket (C(s3:ListBucket)).
      type: bool
      returned: always
    can_read:
      description: Whether the keys may read objects (C(s3:GetObject)).
      type: bool
      returned: always
    can_write:
      description: Whether the keys may store objects (C(s3:PutObject)).
      type: bool
      returned: always
    can_delete:
      description: Whether the keys may delete objects (C(s3:DeleteObject)).
      type: bool
      returned: always
    write_proof:
      description:
        - How writing was tested, V(aborted_upload) or V(deleted_object). With O(sse_customer_key) also
          V(stored_object), which is deleted if the keys may delete.
      type: str
      returned: always
      sample: aborted_upload
    clock_skew_seconds:
      description: Seconds by which the clock of the host is ahead of the store's; negative if it is behind.
      type: int
      returned: always
      sample: 0
    refusals:
      description: For each permission that is missing, the reason and what to change.
      type: dict
      returned: always
    left_behind:
      description: What could not be removed; empty unless the bucket keeps versions or a test object stays.
      type: list
      elements: str
      returned: always
code:
  description: The error code of the store, or the name of a connection error.
  returned: on failure
  type: str
  sample: NoSuchBucket
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError, StoreError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.client import (
    BOTO3_IMPORT_ERROR,
    make_client,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.probe import (
    ABILITIES,
    DELETE,
    LIST,
    READ,
    WRITE,
    ProbeReport,
    probe,
    refusal_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings

# Well below the 15 minutes from which stores refuse signatures.
SKEW_WARNING_SECONDS = 300


def described(report: ProbeReport, settings: StoreSettings) -> dict[str, Any]:
    """The report as the module returns it."""
    return {
        "name": settings.bucket,
        "prefix": settings.prefix,
        "exists": True if any(report.can(ability) for ability in ABILITIES) else None,
        "is_empty": report.is_empty,
        **{f"can_{ability}": report.can(ability) for ability in ABILITIES},
        "write_proof": report.write_proof,
        "clock_skew_seconds": report.clock_skew_seconds,
        "refusals": {ability: str(refusal) for ability, refusal in report.refusals.items()},
        "left_behind": report.left_behind,
    }


def warnings(report: ProbeReport) -> list[str]:
    """What the operator should know even if no required permission is missing."""
    texts = [f"The probe could not remove {left}; the keys may not delete it." for left in report.left_behind]
    skew = report.clock_skew_seconds
    if skew is not None and abs(skew) > SKEW_WARNING_SECONDS:
        direction = "ahead of" if skew > 0 else "behind"
        texts.append(
            f"The clock of this host is {abs(skew)} seconds {direction} the store's, which refuses signatures that are "
            "15 minutes off. Synchronize the clock, for example with chrony."
        )
    return texts


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "require": {
                "type": "list",
                "elements": "str",
                "choices": list(ABILITIES),
                "default": [LIST, READ, WRITE],
            },
        },
        supports_check_mode=True,
    )
    if BOTO3_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("boto3"), exception=BOTO3_IMPORT_ERROR)
    required = module.params["require"]
    try:
        settings = settings_from(module.params)
        client = make_client(settings, connect_timeout=10, read_timeout=30, max_attempts=3)
        report = probe(client, settings, try_delete=DELETE in required)
    except StoreError as error:
        module.fail_json(msg=str(error), code=error.code)
    except MediaError as error:
        module.fail_json(msg=str(error))

    for text in warnings(report):
        module.warn(text)
    refusal = refusal_of(report, settings, required)
    if refusal:
        module.fail_json(msg=str(refusal), code=refusal.code, bucket=described(report, settings))
    module.exit_json(changed=False, bucket=described(report, settings))


if __name__ == "__main__":
    main()
