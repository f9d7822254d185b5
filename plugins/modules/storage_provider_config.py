#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_provider_config
short_description: Put the S3 storage provider into Synapse's configuration
version_added: 1.0.0
description:
  - Writes the entry for the S3 storage provider into Synapse's configuration, between two markers, or removes it.
  - Every other byte of the operator's files stays as it is, comments and order included.
  - Where Synapse has no list C(media_storage_providers) and reads a directory, the entry goes into a file of its own
    in that directory, else to the end of the first file. Where there is a list, the entry is added to it. An S3 entry
    for the same place that is already there is replaced, and comes back when the block is removed.
  - Every key of an S3 entry that is there already is compared with the options. Another bucket, prefix, endpoint,
    customer key or region is refused, because media that was stored before could not be fetched any more, unless
    O(confirm_location) names the new location. Everything else that will change for Synapse is named in a warning.
  - In a list in brackets, and in a file that is one mapping in braces, as JSON is, the entry is written on one line and
    marked by its key C(managed_by), which Synapse passes over, in place of the two lines of comment.
  - What cannot be done without a loss is refused with the remedy. There is never a second key
    C(media_storage_providers).
  - Synapse itself parses the new configuration, as its own user, before any of its files is touched.
  - A file that is to hold a secret is closed to others. Where the group of Synapse's user has other members, as
    C(nogroup) has, the file is closed to the group too and belongs to Synapse's user.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
  - matrix_ops.synapse_s3.connection
attributes:
  check_mode:
    support: full
    details:
      - The configuration is validated in check mode too, unless the storage provider is not installed in O(python) yet.
  diff_mode:
    support: full
    details:
      - Shows the entry alone, with secrets hidden, and never the rest of a file.
options:
  state:
    description:
      - Whether the entry is in Synapse's configuration.
      - V(absent) removes what this module has written and puts back what that has replaced.
    type: str
    choices: [present, absent]
    default: present
  config_paths:
    description: Files and directories that Synapse is started with, absolute, in their order.
    type: list
    elements: path
    required: true
  drop_in_directory:
    description:
      - The one of the directories in O(config_paths) that a file of its own goes into.
      - Without it, the last directory in O(config_paths).
    type: path
  python:
    description: Python that runs Synapse. Without it, the Python that runs this module.
    type: path
  user:
    description: User Synapse runs as.
    type: str
    required: true
  group:
    description: Group Synapse runs as. Without it, the primary group of O(user).
    type: str
  working_directory:
    description: Directory from which Synapse takes relative paths.
    type: path
    required: true
  keys_directory:
    description:
      - Directory in which Synapse looks for keys that its configuration gives no path for.
      - Without it, the directory of the last configuration file, as Synapse does.
    type: path
  store_local:
    description: Whether media of the server's own users is copied to S3.
    type: bool
    default: true
  store_remote:
    description: Whether media of other servers is copied to S3.
    type: bool
    default: true
  store_synchronous:
    description: Whether an upload waits for its copy in S3, and fails where that fails.
    type: bool
    default: true
  confirm_location:
    description:
      - The new location of the media, as the refusal names it, after every object has been copied there, such as
        V(https://s3.example.org/bucket/prefix/).
      - It permits this one location and no other, so that it does no harm where it is left in the settings.
    type: str
    default: ""
    version_added: 1.1.0
  validate:
    description:
      - Whether Synapse has to accept the new configuration before it is put in place.
      - Without it, a configuration that Synapse refuses keeps it from starting.
    type: bool
    default: true
  bucket:
    description: Name of the bucket, without C(s3://) and without a folder. Required for O(state=present).
    type: str
    required: false
  addressing_style:
    description: Accepted so that all modules take the same options. The provider takes it from its environment alone.
  ca_bundle:
    description: Accepted so that all modules take the same options. The provider takes it from its environment alone.
notes:
  - Needs PyYAML, so it is best run with Synapse's own Python as C(ansible_python_interpreter).
  - Needs to run as root, or as the user Synapse runs as.
  - Synapse has to be restarted to take notice of a change.
"""

EXAMPLES = r"""
- name: The S3 storage provider is configured
  matrix_ops.synapse_s3.storage_provider_config:
    config_paths:
      - /etc/matrix-synapse/homeserver.yaml
      - /etc/matrix-synapse/conf.d
    user: matrix-synapse
    working_directory: /var/lib/matrix-synapse
    bucket: example-media
    region_name: eu-central-1
    access_key_id: "{{ vault_access_key_id }}"
    secret_access_key: "{{ vault_secret_access_key }}"
  vars:
    ansible_python_interpreter: /opt/venvs/matrix-synapse/bin/python
  notify: Synapse is restarted

- name: The S3 storage provider is no longer configured
  matrix_ops.synapse_s3.storage_provider_config:
    state: absent
    config_paths:
      - /etc/matrix-synapse/homeserver.yaml
      - /etc/matrix-synapse/conf.d
    user: matrix-synapse
    working_directory: /var/lib/matrix-synapse
  vars:
    ansible_python_interpreter: /opt/venvs/matrix-synapse/bin/python
  notify: Synapse is restarted
"""

RETURN = r"""
file:
  description: The file that holds the entry, or held it; none where there was none.
  returned: success
  type: str
  sample: /etc/matrix-synapse/conf.d/synapse-s3.yaml
action:
  description:
    - What was done, or would be done in check mode.
    - V(created) is a file of its own, V(inserted) an entry in a file that was there, V(adopted) an entry of the
      operator's taken over, V(updated) a change of what this module had written, of its place, or of the access to its
      file.
  returned: success
  type: str
  choices: [created, inserted, adopted, updated, removed, none]
validated:
  description: Whether Synapse has parsed and accepted the configuration.
  returned: success
  type: bool
validation_skipped:
  description: Why Synapse was not asked; none where it was.
  returned: success
  type: str
mode_changes:
  description: Changes of the access to the file, in words.
  returned: success
  type: list
  elements: str
"""

import grp
import os
import pwd
import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_validation import Validator
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.provider_change import (
    ASKED_NOT_TO,
    NOTHING_TO_VALIDATE,
    carry_out,
    differences,
    judge,
    planned_access,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.provider_entry import ProviderEntry
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.provider_plan import (
    Layout,
    plan_entry,
    plan_removal,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.secure_file import (
    Reader,
    is_private_group,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    MediaError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.homeserver import (
    YAML_IMPORT_ERROR,
    absolute,
)


def account(user: str, group: str | None) -> tuple[Reader, str]:
    """Who Synapse is to the file system, and its home directory."""
    try:
        entry = pwd.getpwnam(user)
        gid = grp.getgrnam(group).gr_gid if group else entry.pw_gid
    except KeyError:
        raise ConfigurationError(
            f"The user {user} or the group {group or 'of that user'} does not exist on this host. "
            "Correct synapse_s3_synapse_user or synapse_s3_synapse_group."
        ) from None
    reader = Reader(entry.pw_uid, gid, os.getgrouplist(user, gid), is_private_group(gid, user))
    return reader, entry.pw_dir


def run(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    directory = params["working_directory"]
    reader, home = account(params["user"], params["group"])
    layout = Layout(
        paths=[absolute(path, directory) for path in params["config_paths"]],
        drop_in_directory=absolute(params["drop_in_directory"], directory) if params["drop_in_directory"] else None,
        keys_directory=absolute(params["keys_directory"], directory) if params["keys_directory"] else None,
    )
    entry = None
    if params["state"] == "present":
        switches = {name: params[name] for name in ("store_local", "store_remote", "store_synchronous")}
        entry = ProviderEntry(settings_from(params), **switches)
    plan = plan_entry(layout, entry, params["confirm_location"]) if entry else plan_removal(layout)
    access = planned_access(plan, reader, holds_secret=bool(entry and entry.holds_secret()))
    tightens = bool(access and access.before not in (None, access.after))

    skipped: str | None = NOTHING_TO_VALIDATE
    if plan.changes:
        validator = Validator(
            python=params["python"] or sys.executable,
            uid=reader.uid,
            gid=reader.gid,
            groups=list(reader.groups),
            home=home,
            working_directory=directory,
            keys_directory=layout.keys_directory,
        )
        skipped = judge(plan, validator, module.check_mode) if params["validate"] else ASKED_NOT_TO
    for warning in plan.warnings:
        module.warn(warning)
    if not module.check_mode:
        carry_out(plan, access)
    return {
        "changed": bool(plan.changes) or tightens,
        "file": plan.file,
        "action": "updated" if tightens and plan.action == "none" else plan.action,
        "validated": skipped is None,
        "validation_skipped": skipped,
        "mode_changes": [str(access)] if access and tightens else [],
        "diff": differences(plan, access),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_ARGUMENTS,
            "bucket": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "config_paths": {"type": "list", "elements": "path", "required": True},
            "drop_in_directory": {"type": "path"},
            "python": {"type": "path"},
            "user": {"type": "str", "required": True},
            "group": {"type": "str"},
            "working_directory": {"type": "path", "required": True},
            "keys_directory": {"type": "path", "no_log": False},
            "store_local": {"type": "bool", "default": True},
            "store_remote": {"type": "bool", "default": True},
            "store_synchronous": {"type": "bool", "default": True},
            "confirm_location": {"type": "str", "default": ""},
            "validate": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if YAML_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=YAML_IMPORT_ERROR)
    try:
        result = run(module)
    except MediaError as error:
        module.fail_json(msg=str(error))
    if not module._diff:
        del result["diff"]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
