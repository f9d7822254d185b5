#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: homeserver_config_info
short_description: Read the settings about media in Synapse's configuration
version_added: 1.0.0
description:
  - Reads the files of Synapse's configuration and merges them as Synapse does.
  - Returns the settings about media, without secrets.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes.info_module
options:
  config_paths:
    description: Files and directories with which Synapse is started, in their order.
    type: list
    elements: path
    required: true
  working_directory:
    description: Synapse's working directory, to which relative paths in its configuration refer.
    type: path
    required: true
notes:
  - Needs PyYAML. Synapse's own Python has it, so set C(ansible_python_interpreter) to that.
"""

EXAMPLES = r"""
- name: Read Synapse's configuration
  matrix_ops.synapse_s3.homeserver_config_info:
    config_paths:
      - /etc/matrix-synapse/homeserver.yaml
      - /etc/matrix-synapse/conf.d
    working_directory: /var/lib/matrix-synapse
  vars:
    ansible_python_interpreter: /opt/venvs/matrix-synapse/bin/python
  register: read
"""

RETURN = r"""
homeserver:
  description: Settings of the merged configuration.
  returned: success
  type: dict
  contains:
    server_name:
      description: Name of the server.
      type: str
    media_store_path:
      description: Directory of the local media, absolute.
      type: str
      sample: /var/lib/matrix-synapse/media
    enable_media_repo:
      description: Whether the main process serves media.
      type: bool
    enable_local_media_storage:
      description: Whether media is kept on the local disk.
      type: bool
    enable_authenticated_media:
      description: Whether media is served only to users with an account.
      type: bool
    database_name:
      description: Driver of the database, or none if it is not clear.
      type: str
      sample: psycopg2
    base_url:
      description:
        - URL of a listener that serves clients, or none. The first with plain HTTP, else the first Unix socket, as
          C(unix:) and its path, else the first with TLS.
      type: str
      sample: http://127.0.0.1:8008
    storage_providers:
      description: Entries of the list C(media_storage_providers) that Synapse uses.
      type: list
      elements: dict
      contains:
        module:
          description: Python class of the provider.
          type: str
        file:
          description: File with the entry.
          type: str
        bucket:
          description: Bucket of an S3 entry.
          type: str
        prefix:
          description: Prefix of an S3 entry, as it is written; empty if it has none.
          type: str
        ours:
          description: Whether M(matrix_ops.synapse_s3.storage_provider_config) has written the entry.
          type: bool
    media_retention:
      description:
        - The lifetimes that C(media_retention) sets, as they are written; empty if it deletes nothing.
        - If there is one, the module warns that it deletes media for good, not only from the local disk.
      type: dict
      version_added: 1.1.0
      sample: {"remote_media_lifetime": "14d"}
    config_directory:
      description: The last directory in O(config_paths), or none.
      type: str
      sample: /etc/matrix-synapse/conf.d
    config_files:
      description: The files of O(config_paths), in the order in which Synapse merges them.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_summary import (
    retention_warning,
    summary,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    YAML_IMPORT_ERROR,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config_paths": {"type": "list", "elements": "path", "required": True},
            "working_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    if YAML_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=YAML_IMPORT_ERROR)
    try:
        found = summary(module.params["config_paths"], module.params["working_directory"])
    except MediaError as error:
        module.fail_json(msg=str(error))
    warning = retention_warning(found["media_retention"], found["config_files"])
    if warning:
        module.warn(warning)
    module.exit_json(changed=False, homeserver=found)


if __name__ == "__main__":
    main()
