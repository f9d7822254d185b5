#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: synapse_info
short_description: Find the Synapse that runs on a host
version_added: 1.0.0
description:
  - Finds Synapse's service, its Python, its configuration files and the user it runs as.
  - Looks at the options first, then at the C(ExecStart) of the service, then in C(/opt/venvs/matrix-synapse).
  - Proves that the Python it found runs Synapse, and that the files are there.
  - Needs no Python library on the host.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes.info_module
options:
  service:
    description:
      - Name of the systemd service that runs Synapse's main process.
      - Without it, C(matrix-synapse.service), then C(synapse.service), then the loaded service that starts Synapse.
    type: str
  python:
    description: Path of the Python that runs Synapse.
    type: path
  config_paths:
    description: Configuration files and directories that Synapse is started with, in their order.
    type: list
    elements: path
    default: []
  user:
    description: User Synapse runs as. Without it, the user of the service.
    type: str
  group:
    description: Group Synapse runs as. Without it, the group of the service, else the primary group of the user.
    type: str
notes:
  - Synapse in a container is not covered and is refused.
"""

EXAMPLES = r"""
- name: Synapse is found
  matrix_ops.synapse_s3.synapse_info:
  register: found

- name: A Synapse that systemd does not start is found
  matrix_ops.synapse_s3.synapse_info:
    python: /srv/synapse/venv/bin/python
    config_paths:
      - /srv/synapse/homeserver.yaml
    user: synapse
"""

RETURN = r"""
synapse:
  description: The Synapse that was found.
  returned: success
  type: dict
  contains:
    service:
      description: Name of the service with its ending; none where Synapse was found without a service.
      type: str
      sample: matrix-synapse.service
    active:
      description: Whether the service runs, or is starting.
      type: bool
    python:
      description: Path of the Python that runs Synapse.
      type: str
      sample: /opt/synapse/venv/bin/python
    python_version:
      description: Version of that Python.
      type: str
      sample: 3.11.2
    version:
      description: Version of Synapse.
      type: str
      sample: 1.163.2
    pip:
      description: Whether that Python can run pip.
      type: bool
    python_kind:
      description:
        - What made that Python. V(uv) and V(pipx) are virtualenvs of these programs, V(virtualenv) is any other one,
          V(distribution) is a Python that does not take packages from pip, V(system) is any other Python.
      type: str
      sample: virtualenv
    pip_remedy:
      description: A sentence that says how that Python gets pip; none where it has pip.
      type: str
    config_paths:
      description: Files and directories that Synapse reads, absolute, in the order in which it merges them.
      type: list
      elements: str
      sample: [/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d]
    working_directory:
      description: Directory from which Synapse takes relative paths.
      type: str
    keys_directory:
      description: Directory in which Synapse looks for keys that its configuration gives no path for.
      type: str
    user:
      description: User Synapse runs as.
      type: str
      sample: synapse
    group:
      description: Group Synapse runs as.
      type: str
      sample: synapse
    uid:
      description: Number of the user.
      type: int
    gid:
      description: Number of the group.
      type: int
    home:
      description: Home directory of the user.
      type: str
    provider_version:
      description: Version of C(synapse-s3-storage-provider) in that Python, or none.
      type: str
      sample: 1.7.0
    enhanced_provider_version:
      description: Version of C(enhanced-s3-storage-provider), which overwrites the former, or none.
      type: str
    boto3_version:
      description: Version of boto3 in that Python, or none.
      type: str
not_found:
  description:
    - Whether the module failed because there is no Synapse where it was looked for. V(false) where Synapse is there and
      something about it cannot be made out, such as a masked service.
  returned: failure
  type: bool
"""

from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_installation import Wanted, installation
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import SynapseNotFoundError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str"},
            "python": {"type": "path"},
            "config_paths": {"type": "list", "elements": "path", "default": []},
            "user": {"type": "str"},
            "group": {"type": "str"},
        },
        supports_check_mode=True,
    )
    # An empty value counts as unset, so that a role can pass its own default through.
    wanted = Wanted(**{name: value for name, value in module.params.items() if value})

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        # A host without systemd has no systemctl, and what is set as a Python may be no program: answers, not failures.
        try:
            status, output, error = module.run_command(list(command), handle_exceptions=False)
        except OSError as error:
            return 127, "", str(error.strerror)
        return status, output, error

    try:
        found = installation(run, wanted)
    except MediaError as error:
        module.fail_json(msg=str(error), not_found=isinstance(error, SynapseNotFoundError))
    module.exit_json(changed=False, synapse=found)


if __name__ == "__main__":
    main()
