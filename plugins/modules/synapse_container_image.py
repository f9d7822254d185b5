#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: synapse_container_image
short_description: Build the image with the storage provider for Synapse's container
version_added: 1.2.0
description:
  - Builds an image from the operator's own one, with Python packages added to it, or removes the images built before.
  - What the operator's image has stays at its version, and how it starts stays as it is.
  - The name of the image has to stand for all that it is made from; an image that exists is not built again.
  - pip uses the host's C(/etc/pip.conf), certificates and network, and none of them becomes a part of the image.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes
attributes:
  diff_mode:
    support: none
options:
  state:
    description:
      - V(present) builds O(image) if it does not exist.
      - V(absent) removes all images that were built for O(container) except O(image), as far as no container
        needs them.
    type: str
    choices: [present, absent]
    default: present
  engine:
    description: The program that runs the container.
    type: str
    choices: [docker, podman]
    required: true
  container:
    description: Name of Synapse's container, with which the image is labelled.
    type: str
    required: true
  image:
    description: The image as NAME:TAG. Required if O(state=present).
    type: str
  base:
    description: Id of the operator's image. Required if O(state=present).
    type: str
  base_name:
    description: Name of the operator's image, for a label. Required if O(state=present).
    type: str
  python:
    description: Path of the Python in the image that runs Synapse. Required if O(state=present).
    type: str
  packages:
    description: Requirements that are installed with all they need.
    type: list
    elements: str
    default: []
  packages_alone:
    description: Requirements that are installed without what they declare.
    type: list
    elements: str
    default: []
  files:
    description: Text files by their paths in the directory of Python's packages, which are put there in the new image.
    type: dict
    default: {}
  constraints:
    description: Versions that pip must keep, such as V(boto3==1.44.5).
    type: list
    elements: str
    default: []
  uid:
    description: Numeric id of the user that Synapse runs as. Required if O(state=present).
    type: int
  gid:
    description: Numeric id of its group. Required if O(state=present).
    type: int
  imports:
    description: Modules that this user must be able to import from the new image.
    type: list
    elements: str
    default: [s3_storage_provider]
"""

EXAMPLES = r"""
- name: Build the image with the storage provider
  matrix_ops.synapse_s3.synapse_container_image:
    engine: docker
    container: synapse
    image: synapse-s3/synapse:5f2b0c61
    base: sha256:0b1edfbffd27c935a666e233a0042ed634205f6f754dbe20769a60369c614f85
    base_name: docker.io/matrixdotorg/synapse:latest
    python: /usr/local/bin/python
    packages: [boto3, six]
    packages_alone: [synapse-s3-storage-provider==1.7.0]
    uid: 991
    gid: 991

- name: Remove all images that were built for the container
  matrix_ops.synapse_s3.synapse_container_image:
    state: absent
    engine: docker
    container: synapse
"""

RETURN = r"""
image:
  description: The image.
  returned: success
  type: str
removed:
  description: The images that were removed, or would be in check mode.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.engine import own_images
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.image import (
    ImagePlan,
    build,
    exists,
    remove,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import command_runner

REQUIRED = ["image", "base", "base_name", "python", "uid", "gid"]


def main() -> None:
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "engine": {"type": "str", "choices": ["docker", "podman"], "required": True},
            "container": {"type": "str", "required": True},
            "image": {"type": "str"},
            "base": {"type": "str"},
            "base_name": {"type": "str"},
            "python": {"type": "str"},
            "packages": names,
            "packages_alone": names,
            "files": {"type": "dict", "default": {}},
            "constraints": names,
            "uid": {"type": "int"},
            "gid": {"type": "int"},
            "imports": {"type": "list", "elements": "str", "default": ["s3_storage_provider"]},
        },
        required_if=[("state", "present", REQUIRED)],
        supports_check_mode=True,
    )
    params = module.params
    run = command_runner(module)
    removed: list[str] = []
    try:
        if params["state"] == "absent":
            keep = params["image"] or ""
            if module.check_mode:
                removed = [image for image in own_images(run, params["engine"], params["container"]) if image != keep]
            else:
                removed = remove(run, params["engine"], params["container"], keep)
            changed = bool(removed)
        else:
            fields = (
                "engine",
                "container",
                "image",
                "base",
                "base_name",
                "python",
                "packages",
                "files",
                "constraints",
                "uid",
                "gid",
            )
            plan = ImagePlan(
                alone=params["packages_alone"], imports=params["imports"], **{field: params[field] for field in fields}
            )
            changed = not exists(run, plan)
            if changed and not module.check_mode:
                build(run, plan)
    except MediaError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, image=params["image"], removed=removed)


if __name__ == "__main__":
    main()
