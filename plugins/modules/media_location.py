#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: media_location
short_description: Refuse a changed location of the media in S3
version_added: 1.1.0
description:
  - Compares bucket, prefix, endpoint and customer key with those on record, and records them.
  - Synapse looks for its media at one location only, so a change of any of them hides all that was stored before. It is
    refused, unless O(confirm_location) names the new location.
  - The record holds no secret. Of the customer key it holds a salted hash.
  - A record of an earlier release, which lacks the endpoint or the customer key, is completed.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
  - matrix_ops.synapse_s3.connection
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows whether there is a customer key, and never its hash.
options:
  path:
    description: File of the record.
    type: path
    required: true
  state:
    description:
      - V(compared) only compares and changes nothing.
      - V(recorded) also writes the record, where it does not say all of this already.
    type: str
    choices: [compared, recorded]
    default: compared
  confirm_location:
    description:
      - The new location of the media, as the refusal names it, after every object has been copied there, such as
        V(https://s3.example.org/bucket/prefix/).
      - It permits this one location and no other, so that it does no harm where it is left in the settings.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Refuse a changed bucket, prefix, endpoint or customer key
  matrix_ops.synapse_s3.media_location:
    path: /etc/synapse-s3/location.json
    bucket: example-media
    endpoint_url: https://s3.example.org

- name: Record the new location
  matrix_ops.synapse_s3.media_location:
    state: recorded
    path: /etc/synapse-s3/location.json
    bucket: example-media
    endpoint_url: https://s3.example.net
    confirm_location: https://s3.example.net/example-media
"""

RETURN = r"""
location:
  description: The location of the options, in the form that O(confirm_location) takes.
  returned: success
  type: str
  sample: https://s3.example.org/example-media/synapse/
same:
  description: Whether the record names this location, or there is no record. Where it is false, it was confirmed.
  returned: success
  type: bool
recorded:
  description: Whether the record holds all of this location, so that nothing is left to write.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.state_directory import (
    write_whole,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    MediaError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.location import (
    LocationRecord,
    StoreLocation,
    moved,
    shown_record,
)


def run(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    record = LocationRecord(params["path"], StoreLocation.of(settings_from(params)))
    before = record.read()
    differences = record.location.differences(before) if before else []
    if differences and not record.location.confirmed_by(params["confirm_location"]):
        raise ConfigurationError(moved(differences, record.location, params["path"], params["confirm_location"]))
    writes = params["state"] == "recorded" and not record.is_current(before)
    result = {
        "changed": writes,
        "location": record.location.name(),
        "same": not differences,
        "recorded": params["state"] == "recorded" or record.is_current(before),
    }
    if not writes:
        return result
    if not module.check_mode:
        try:
            write_whole(record.path, record.text())
        except OSError as error:
            raise ConfigurationError(
                f"{record.path} cannot be written ({error.strerror}). Free space there, and run this as root."
            ) from error
    result["diff"] = {
        "before": shown_record(before),
        "after": shown_record(record.location.record()),
        "before_header": params["path"],
        "after_header": params["path"],
    }
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["compared", "recorded"], "default": "compared"},
            "confirm_location": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except MediaError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
