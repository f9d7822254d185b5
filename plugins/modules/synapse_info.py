#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: synapse_info
short_description: Find the Synapse on a host
version_added: 1.0.0
description:
  - Finds Synapse's service, its Python, its configuration files and the user that it runs as.
  - Takes each from the options, else from the C(ExecStart) of the service, else from the layout of Debian's package in
    C(/opt/venvs/matrix-synapse).
  - Fails if that Python does not run Synapse, or if the files do not exist.
  - Needs no Python library on the host.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes.info_module
options:
  service:
    description:
      - Name of the systemd service that runs Synapse's main process.
      - By default C(matrix-synapse.service), else C(synapse.service), else the loaded service that starts Synapse.
    type: str
  services:
    description:
      - Names of all systemd services of one Synapse, those of its workers among them, such as
        V(matrix-synapse-worker@media.service). The first that is no worker is the main process.
      - Workers that read a file of one of these are found without being named.
    type: list
    elements: str
    default: []
    version_added: 1.2.0
  python:
    description: Path of the Python that runs Synapse.
    type: path
  config_paths:
    description: Configuration files and directories with which Synapse is started, in their order.
    type: list
    elements: path
    default: []
  user:
    description: User that Synapse runs as. By default the user of the service.
    type: str
  group:
    description: Group that Synapse runs as. By default the group of the service, else the primary group of the user.
    type: str
  container_ok:
    description:
      - Whether Synapse may run in a container that is left alone, because others install its storage provider.
      - O(python), O(config_paths) and O(user) are then required. O(python) is any Python of the host that has PyYAML,
        and the O(config_paths) are those on the host.
    type: bool
    default: false
  container:
    description:
      - Name of the container in which Synapse runs, in Docker or Podman as root. Image, mounts, networks, user, Python
        and configuration are found by inspecting it, and O(python), O(config_paths), O(user) and O(group) do not count.
      - The paths in the result are then those in the container, except RV(synapse.python). That is a program on the
        host which runs Synapse's Python in a new container with the same mounts and network, as root. The module writes
        it to a directory C(synapse-s3-NAME) in C(/usr/local/lib), in check mode too.
    type: str
    version_added: 1.2.0
  container_paths:
    description: Paths of the host that Synapse's Python needs in a container too, at the same place.
    type: list
    elements: path
    default: []
    version_added: 1.2.0
  drop_in_name:
    description:
      - Name of the file in the service's C(.d) directory by which the collection makes the service run another image.
        What it says does not count as the operator's.
    type: str
    default: synapse-s3.conf
    version_added: 1.2.0
  require_root:
    description: Whether to fail where the module does not run as root, as whom alone all of it can be found.
    type: bool
    default: false
    version_added: 1.1.0
  missing_ok:
    description:
      - Whether a Synapse that is not on the host is an answer and no failure. RV(synapse) is then empty and
        RV(not_found_reason) says what was not found.
    type: bool
    default: false
    version_added: 1.1.0
notes:
  - A service that starts a container is refused without O(container).
"""

EXAMPLES = r"""
- name: Find Synapse
  matrix_ops.synapse_s3.synapse_info:
  register: found

- name: Find a Synapse whose media worker has files of its own
  matrix_ops.synapse_s3.synapse_info:
    services: [matrix-synapse, matrix-synapse-worker@media]

- name: Find a Synapse that systemd does not start
  matrix_ops.synapse_s3.synapse_info:
    python: /srv/synapse/venv/bin/python
    config_paths:
      - /srv/synapse/homeserver.yaml
    user: synapse

- name: Find a Synapse in a container
  matrix_ops.synapse_s3.synapse_info:
    container: synapse
"""

RETURN = r"""
synapse:
  description: The Synapse that was found.
  returned: success
  type: dict
  contains:
    service:
      description:
        - Name of the service, with its suffix; none if Synapse was found without a service.
        - Of a container in a Compose project, the service that starts the project.
      type: str
      sample: matrix-synapse.service
    active:
      description: Whether the service is running or starting; of a Compose project, whether the container runs.
      type: bool
    python:
      description: Path of the Python that runs Synapse. With O(container), of the program that stands for it.
      type: str
      sample: /opt/synapse/venv/bin/python
    python_version:
      description: Version of that Python.
      type: str
      sample: 3.11.2
    version:
      description: Version of Synapse, or none with O(container_ok).
      type: str
      sample: 1.163.2
    pip:
      description: Whether that Python can run pip.
      type: bool
    python_kind:
      description:
        - The kind of that Python. V(uv) and V(pipx) are virtualenvs of these programs, V(virtualenv) is any other one,
          V(distribution) is a Python that does not accept packages from pip, V(system) is any other Python.
      type: str
      version_added: 1.1.0
      sample: virtualenv
    pip_wheel:
      description:
        - Wheel of pip on the host, from which pip can be run with that Python although it has none. The Python's own
          ensurepip or the distribution brings it.
        - None if that Python has pip, or if there is no such wheel.
      type: str
      version_added: 1.2.0
      sample: /usr/share/python-wheels/pip-23.0.1-py3-none-any.whl
    pip_remedy:
      description: A sentence that says how to install pip for that Python; none if it has pip.
      type: str
      version_added: 1.1.0
    config_paths:
      description: Files and directories that Synapse reads, absolute, in the order in which it merges them.
      type: list
      elements: str
      sample: [/etc/matrix-synapse/homeserver.yaml, /etc/matrix-synapse/conf.d]
    working_directory:
      description: Synapse's working directory, to which relative paths in its configuration refer.
      type: str
    keys_directory:
      description: Directory of the keys for which Synapse's configuration has no path.
      type: str
    user:
      description: User that Synapse runs as.
      type: str
      sample: synapse
    group:
      description: Group that Synapse runs as.
      type: str
      sample: synapse
    uid:
      description: Numeric id of the user.
      type: int
    gid:
      description: Numeric id of the group.
      type: int
    home:
      description: Home directory of the user.
      type: str
    provider_version:
      description: Version of C(synapse-s3-storage-provider) in that Python, or none.
      type: str
      sample: 1.7.0
    enhanced_provider_version:
      description: Version of C(enhanced-s3-storage-provider), which overwrites the files of the other package, or none.
      type: str
    boto3_version:
      description: Version of boto3 in that Python, or none.
      type: str
    processes:
      description:
        - Every process of this Synapse, the main process first. The others are the services that were named, and the
          workers that read one of their files.
        - Each has its C(service), whether it is a C(worker), whether it is C(active) or was C(stopped) on purpose,
          whether it was C(named), and its C(python), C(config_paths), C(working_directory), C(keys_directory), C(user)
          and C(group).
      type: list
      elements: dict
      version_added: 1.2.0
    packages:
      description: Name and version of the packages in the operator's image; only with O(container).
      type: dict
      version_added: 1.2.0
    container:
      description: The container, or none without O(container).
      type: dict
      version_added: 1.2.0
      contains:
        engine:
          description: The program that runs it.
          type: str
          sample: docker
        name:
          description: Its name.
          type: str
          sample: synapse
        image:
          description: The image that its service names, as it is written there.
          type: str
          sample: docker.io/matrixdotorg/synapse:latest
        image_id:
          description: The id of that image.
          type: str
        image_user:
          description: The user that this image sets; empty if it sets none.
          type: str
        running_image_id:
          description: The id of the image that the container was made from.
          type: str
        images:
          description: The images that the collection has built for it, as NAME:TAG.
          type: list
          elements: str
        networks:
          description: Its networks; the first is that of its creation.
          type: list
          elements: str
        ports:
          description: The address on the host of each of its published ports.
          type: dict
          sample: {"8008/tcp": "127.0.0.1:8008"}
        mounts:
          description: Its mounts, each with C(destination), C(source) on the host, C(volume) and C(writable).
          type: list
          elements: dict
        mount_options:
          description: The options by which another container gets the same mounts.
          type: list
          elements: str
        unit_lines:
          description:
            - The commands of its service in the directives in which an image is run, each with C(directive), C(before),
              C(image), C(after) and the C(file) with the line. Without an image, C(before) is the whole command.
          type: list
          elements: dict
        compose:
          description:
            - The Compose project that the container belongs to, or none. Its C(project), C(service) and C(directory),
              and the C(command) of Compose with the operator's files.
            - The C(override), which is the file that names another image, whether it exists (C(override_exists)),
              whether the operator names it (C(override_is_named)), and what it then is without an image
              (C(override_empty)).
            - Whether this Compose C(knows_pull_policy), whether a restart of the unit makes the container anew
              (C(restarts_unit)), and whether the container C(has_own_image), one of the collection.
          type: dict
        quadlet:
          description:
            - What Podman's Quadlet generates the service from, or none. C(file) is the operator's file, and
              C(drop_in_directory) is where another file replaces lines of it.
          type: dict
          sample: {"file": "/etc/containers/systemd/synapse.container",
                   "drop_in_directory": "/etc/containers/systemd/synapse.container.d"}
        auto_update:
          description: Whether the container has a label for C(podman auto-update).
          type: bool
        security_options:
          description: The options that other containers with the same mounts need where the host has SELinux.
          type: list
          elements: str
        python:
          description: The Python that runs Synapse, as it is named in the container.
          type: str
          sample: /usr/local/bin/python
host_python:
  description: Path of the Python that has run this module.
  returned: success
  type: str
  sample: /usr/bin/python3
not_found_reason:
  description: Why there is no Synapse, with O(missing_ok); empty where there is one.
  returned: success
  type: str
not_found:
  description:
    - Whether the module failed because there is no Synapse. V(false) if there is one and something about it is unclear,
      such as the command of a masked service.
  returned: failure
  type: bool
  version_added: 1.1.0
"""

import os
import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_installation import Wanted, installation
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_service import SynapseNotFoundError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import command_runner

OPTIONS = (
    "service",
    "services",
    "python",
    "config_paths",
    "user",
    "group",
    "container",
    "container_ok",
    "container_paths",
    "drop_in_name",
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "service": {"type": "str"},
            "services": {"type": "list", "elements": "str", "default": []},
            "python": {"type": "path"},
            "config_paths": {"type": "list", "elements": "path", "default": []},
            "user": {"type": "str"},
            "group": {"type": "str"},
            "container_ok": {"type": "bool", "default": False},
            "container": {"type": "str"},
            "container_paths": {"type": "list", "elements": "path", "default": []},
            "drop_in_name": {"type": "str", "default": "synapse-s3.conf"},
            "require_root": {"type": "bool", "default": False},
            "missing_ok": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    # An empty value counts as unset, so that a role can pass its own default.
    wanted = Wanted(**{name: module.params[name] for name in OPTIONS if module.params[name]})
    if module.params["require_root"] and os.geteuid() != 0:
        module.fail_json(
            msg="The roles of matrix_ops.synapse_s3 need root on the host. Set 'become: true' in the play, or "
            "'ansible_become=true' in the inventory.",
            not_found=False,
        )
    found: dict[str, Any] = {}
    reason = ""
    try:
        found = installation(command_runner(module), wanted)
    except MediaError as error:
        reason = str(error)
        not_found = isinstance(error, SynapseNotFoundError)
        if not (not_found and module.params["missing_ok"]):
            module.fail_json(msg=reason, not_found=not_found)
    module.exit_json(changed=False, synapse=found, not_found_reason=reason, host_python=sys.executable)


if __name__ == "__main__":
    main()
