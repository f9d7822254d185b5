#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_provider_usage_info
short_description: Find the configuration that names the S3 storage provider
version_added: 1.1.0
description:
  - Says which files of a host's Synapse would still name the S3 storage provider after its entry was removed by
    M(matrix_ops.synapse_s3.storage_provider_config), so that its package is not removed from a Synapse that loads it.
  - Looks into the given files and into those that the loaded services of Synapse are started with, workers included.
  - Comments do not count. A file need not be valid YAML.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes.info_module
options:
  config_paths:
    description:
      - Configuration files and directories of the Synapse that was found, absolute, from which the entry is removed.
      - Empty where no Synapse was found.
    type: list
    elements: path
    default: []
  recorded_paths:
    description:
      - Configuration files and directories of the Synapse into which the entry was written.
      - Without them and without O(config_paths), the files of Debian's package and of every service of Synapse's count.
    type: list
    elements: path
    default: []
  python:
    description:
      - Python whose packages are to be removed. Without it, no packages are.
    type: path
"""

EXAMPLES = r"""
- name: Find what would still name the storage provider
  matrix_ops.synapse_s3.storage_provider_usage_info:
    config_paths:
      - /etc/matrix-synapse/homeserver.yaml
    python: /opt/venvs/matrix-synapse/bin/python
  register: usage
"""

RETURN = r"""
left_behind:
  description: Files in which the removal would leave an entry that loads the storage provider.
  returned: success
  type: list
  elements: str
used_by:
  description: Files of other entries that load the storage provider from O(python), so that the packages have to stay.
  returned: success
  type: list
  elements: str
  sample: [/etc/matrix-synapse/blue.yaml]
"""

from collections.abc import Sequence
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.usage import (
    PlannedRemoval,
    find_usage,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError


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

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        # A host without systemd has no systemctl: an answer, not a failure.
        try:
            status, output, error = module.run_command(list(command), handle_exceptions=False)
        except OSError as error:
            return 127, "", str(error.strerror)
        return status, output, error

    try:
        removal = PlannedRemoval(params["config_paths"], params["recorded_paths"], params["python"] or "")
        found = find_usage(run, removal)
    except (MediaError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **asdict(found))


if __name__ == "__main__":
    main()
