#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_provider_usage_info
short_description: Find the configuration files that name the S3 storage provider
version_added: 1.1.0
description:
  - Finds the files of a host's Synapse that will still name the S3 storage provider after
    M(matrix_ops.synapse_s3.storage_provider_config) has removed its entry, so that its package is not removed from a
    Synapse that loads it.
  - Reads the given files and those with which the loaded services of Synapse and its workers are started.
  - Ignores comments. A file need not be valid YAML.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes.info_module
options:
  config_paths:
    description:
      - Configuration files and directories of the Synapse that was found, as absolute paths; the entry is removed from
        them.
      - Empty if no Synapse was found.
    type: list
    elements: path
    default: []
  recorded_paths:
    description:
      - Configuration files and directories of the Synapse to which the entry was added.
      - If these and O(config_paths) are empty, the files of Debian's package and of every service of Synapse are read.
    type: list
    elements: path
    default: []
  python:
    description: Python whose packages will be removed. By default none are.
    type: path
"""

EXAMPLES = r"""
- name: Find the configuration files that will still name the storage provider
  matrix_ops.synapse_s3.storage_provider_usage_info:
    config_paths:
      - /etc/matrix-synapse/homeserver.yaml
    python: /opt/venvs/matrix-synapse/bin/python
  register: usage
"""

RETURN = r"""
left_behind:
  description: Files with an entry that loads the storage provider and that the removal does not reach.
  returned: success
  type: list
  elements: str
used_by:
  description: Files with another entry that loads the storage provider from O(python), so the packages have to stay.
  returned: success
  type: list
  elements: str
  sample: [/etc/matrix-synapse/blue.yaml]
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.usage import (
    PlannedRemoval,
    find_usage,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import command_runner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "config_paths": {"type": "list", "elements": "path", "default": []},
            "recorded_paths": {"type": "list", "elements": "path", "default": []},
            "python": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params = module.params
    removal = PlannedRemoval(params["config_paths"], params["recorded_paths"], params["python"] or "")
    try:
        found = find_usage(command_runner(module), removal)
    except (MediaError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **asdict(found))


if __name__ == "__main__":
    main()
