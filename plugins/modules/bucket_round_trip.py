#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: bucket_round_trip
short_description: Test that media gets into the bucket and back
version_added: 1.0.0
author: matrix_ops.synapse_s3 contributors (@matrix-ops)
description:
  - With O(access_token), uploads a small media to Synapse, waits until the storage provider has stored it in the
    bucket, compares its bytes there, downloads it from Synapse and compares them again.
  - Without O(access_token), stores a small object with the keys, finds it in the bucket and compares its bytes.
  - With O(sse_customer_key), fails if the store ignores the key, so that the object can be read without it.
  - Deletes what it stored. What the keys or the token may not delete is named in RV(round_trip.left_behind) and in a
    warning.
extends_documentation_fragment:
  - matrix_ops.synapse_s3.connection
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
attributes:
  check_mode:
    details: In check mode nothing is stored, so nothing is tested; RV(round_trip) is V(null).
  diff_mode:
    support: N/A
    details: Nothing that is stored stays, so there is no difference to show.
options:
  homeserver_url:
    description:
      - URL of a listener of Synapse that serves its client API, as seen from this host, such as V(http://127.0.0.1:8008).
      - For a Unix socket, C(unix:) and its path, such as V(unix:/run/synapse/main.sock).
      - Required if O(access_token) is given.
    type: str
  homeserver_validate_certs:
    description:
      - Whether the certificate of an https O(homeserver_url) must be valid for its host name.
      - Turn it off only for a listener on this host, whose certificate is for the server's public name.
    type: bool
    default: true
    version_added: 1.1.0
  access_token:
    description:
      - Access token of a user of this server.
      - Only the token of an administrator can delete the uploaded media from Synapse. With another one, a media of less
        than 100 bytes stays in Synapse.
    type: str
  server_name:
    description:
      - Name of the server that O(homeserver_url) must lead to. The module fails before the upload if it is another one.
      - By default the name is not checked.
    type: str
  timeout:
    description: Seconds to wait for the object in the bucket, and for each response of Synapse.
    type: int
    default: 60
requirements:
  - boto3
notes:
  - RV(ignore:changed) is always V(false), because what is stored is deleted.
seealso:
  - module: matrix_ops.synapse_s3.bucket_info
"""

EXAMPLES = r"""
- name: Check that media uploaded to Synapse reaches the bucket
  matrix_ops.synapse_s3.bucket_round_trip:
    bucket: synapse-media
    prefix: example.org/
    endpoint_url: https://s3.example.org
    access_key_id: "{{ synapse_s3_access_key_id }}"
    secret_access_key: "{{ synapse_s3_secret_access_key }}"
    homeserver_url: http://127.0.0.1:8008
    access_token: "{{ admin_access_token }}"

- name: Check that the keys can store an object and read it back
  matrix_ops.synapse_s3.bucket_round_trip:
    bucket: synapse-media
    region_name: eu-central-1
"""

RETURN = r"""
round_trip:
  description: What was tested; V(null) in check mode.
  returned: success
  type: dict
  contains:
    through:
      description: V(synapse) if media was uploaded to Synapse, V(bucket) if an object was stored with the keys.
      type: str
      returned: always
      sample: synapse
    key:
      description: Key under which the object was found in the bucket.
      type: str
      returned: always
      sample: example.org/local_content/Ab/Cd/EfGhIjKlMnOpQrStUvWx
    size:
      description: Number of bytes that were stored and compared.
      type: int
      returned: always
      sample: 55
    seen_after_seconds:
      description: Seconds until the object was found in the bucket.
      type: float
      returned: always
      sample: 0.4
    media:
      description: URI of the media in Synapse; V(null) without O(access_token).
      type: str
      returned: always
      sample: mxc://example.org/AbCdEfGhIjKlMnOpQrStUvWx
    left_behind:
      description: Sentences that name what could not be deleted.
      type: list
      elements: str
      returned: always
code:
  description: The error code of the store, or the name of a connection error.
  returned: on failure of a request to the store
  type: str
  sample: AccessDenied
"""

import dataclasses
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.media_api import MediaApi
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    MediaError,
    StoreError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.client import (
    BOTO3_IMPORT_ERROR,
    make_client,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.s3.boto.round_trip import (
    RoundTrip,
    RoundTripper,
)


def run(params: dict[str, Any], tripper: RoundTripper) -> RoundTrip:
    """The round trip through Synapse if there is a token, else with the keys alone."""
    if not params["access_token"]:
        return tripper.through_bucket()
    if not params["homeserver_url"]:
        raise ConfigurationError("An access token is given, but no URL of Synapse. Set synapse_s3_synapse_url.")
    homeserver = MediaApi(
        params["homeserver_url"],
        params["access_token"],
        params["timeout"],
        validate_certs=params["homeserver_validate_certs"],
    )
    if params["server_name"]:
        homeserver.require_server(params["server_name"])
    return tripper.through_synapse(homeserver)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "homeserver_url": {"type": "str"},
            "homeserver_validate_certs": {"type": "bool", "default": True},
            "access_token": {"type": "str", "no_log": True},
            "server_name": {"type": "str"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if BOTO3_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("boto3"), exception=BOTO3_IMPORT_ERROR)
    try:
        settings = settings_from(module.params)
        tripper = RoundTripper(make_client(settings), settings, module.params["timeout"])
    except MediaError as error:
        module.fail_json(msg=str(error))
    if module.check_mode:
        module.exit_json(changed=False, round_trip=None, msg="In check mode nothing is stored, so nothing is tested.")

    try:
        round_trip = run(module.params, tripper)
    except MediaError as error:
        warn_of_left_behind(module, tripper)
        code = {"code": error.code} if isinstance(error, StoreError) else {}
        module.fail_json(msg=str(error), **code)
    warn_of_left_behind(module, tripper)
    result = dataclasses.asdict(round_trip)
    result["seen_after_seconds"] = round(round_trip.seen_after_seconds, 3)
    module.exit_json(changed=False, round_trip={**result, "left_behind": tripper.left_behind})


def warn_of_left_behind(module: AnsibleModule, tripper: RoundTripper) -> None:
    for left in tripper.left_behind:
        module.warn(f"The round trip could not remove {left}.")


if __name__ == "__main__":
    main()
