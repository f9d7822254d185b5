#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: storage_provider_config
short_description: Add the S3 storage provider to Synapse's configuration, or remove it
version_added: 1.0.0
description:
  - Writes the entry for the S3 storage provider into Synapse's configuration, between two marker lines, or removes it.
  - Changes nothing else in the operator's files; comments and order stay.
  - If the configuration has a list C(media_storage_providers), the entry is added to it. An S3 entry for the same
    location is replaced, and restored when the new one is removed. Without a list, the entry is written to a file of
    its own in a directory that Synapse reads, or without a directory to the end of the first file.
  - Compares every key of an S3 entry in the configuration with the options. Another bucket, prefix, endpoint, customer
    key or region is refused, because stored media could not be fetched any more, unless O(confirm_location) names the
    new location. All other changes are named in a warning.
  - In flow style (a list in brackets, or a file in braces such as JSON), the entry is written on one line. It is marked
    by its key C(managed_by), which Synapse ignores, instead of the marker lines.
  - Refuses what it cannot do without changing another setting, and names the remedy. Never writes a second key
    C(media_storage_providers).
  - Synapse itself parses the new configuration, as its own user, before any file is written.
  - A file with a secret is made unreadable for other users. If the group of Synapse's user has other members, as
    C(nogroup) has, the file is made unreadable for the group too, and Synapse's user becomes its owner.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes
  - matrix_ops.synapse_s3.attributes.connection_group
  - matrix_ops.synapse_s3.connection
attributes:
  check_mode:
    details: The configuration is validated in check mode too, unless O(python) does not have the storage provider yet.
  diff_mode:
    support: full
    details: Shows only the entry, with its secrets masked, and never the rest of a file.
options:
  state:
    description:
      - Whether the entry is in Synapse's configuration.
      - V(absent) removes what this module has written and restores what that replaced.
    type: str
    choices: [present, absent]
    default: present
  config_paths:
    description: Files and directories with which Synapse is started, in their order.
    type: list
    elements: path
    required: true
  drop_in_directory:
    description:
      - The directory in O(config_paths) for a file of its own.
      - By default the last directory in O(config_paths).
    type: path
  python:
    description: Python that runs Synapse. By default the Python that runs this module.
    type: path
  user:
    description: User that Synapse runs as, by its name, or together with O(group) by its number, as in a container.
    type: str
    required: true
  group:
    description: Group that Synapse runs as. By default the primary group of O(user).
    type: str
  working_directory:
    description: Synapse's working directory, to which relative paths in its configuration refer.
    type: path
    required: true
  keys_directory:
    description:
      - Directory of the keys for which Synapse's configuration has no path.
      - By default the directory of the last configuration file, as in Synapse.
    type: path
  processes:
    description:
      - All processes of the same Synapse, such as its workers, as M(matrix_ops.synapse_s3.synapse_preflight_info)
        returns them. Of each its C(service), C(config_paths), C(working_directory), C(keys_directory) and
        C(serves_media) are read. O(config_paths) is then that of a process that serves media.
      - An entry is written into each file that a process that serves media needs, and each keeps all other storage
        providers that it has. Synapse parses the new configuration of each process that reads a changed file.
    type: list
    elements: dict
    default: []
    version_added: 1.2.0
  store_local:
    description: Whether media of this server's users is copied to S3.
    type: bool
    default: true
  store_remote:
    description: Whether media of other servers is copied to S3.
    type: bool
    default: true
  store_synchronous:
    description: Whether an upload waits for its copy in S3, and fails if that fails.
    type: bool
    default: true
  provider:
    description:
      - Which storage provider the entry names.
      - V(official) is upstream's, V(resilient) the one that the role C(storage_provider) installs beside it.
    type: str
    choices: [official, resilient]
    default: official
    version_added: 1.2.0
  provider_options:
    description:
      - More settings of the resilient storage provider, such as C(threadpool_size) and C(fetch_timeout), as the README
        of the role C(storage_provider) lists them.
      - Not allowed with O(provider=official), which ignores them.
    type: dict
    default: {}
    version_added: 1.2.0
  confirm_location:
    description:
      - Name of the new location of the media, as in the error message, such as V(https://s3.example.org/bucket/prefix/).
        Set it after every object has been copied there.
      - It permits only this location, so it may stay in the settings.
    type: str
    default: ""
    version_added: 1.1.0
  validate:
    description:
      - Whether Synapse has to accept the new configuration before it is written.
      - Turned off, a configuration that Synapse refuses is written too, and Synapse does not start with it.
    type: bool
    default: true
  bucket:
    description: Name of the bucket, without C(s3://) and without a folder. Required if O(state=present).
    type: str
    required: false
  addressing_style:
    description: Written into the entry with O(provider=resilient); the official provider has no such setting.
  ca_bundle:
    description: Written into the entry with O(provider=resilient); the official provider has no such setting.
notes:
  - Needs PyYAML. Synapse's own Python has it, so set C(ansible_python_interpreter) to that.
  - Needs to run as root, or as the user that Synapse runs as.
  - A change takes effect when Synapse is restarted.
"""

EXAMPLES = r"""
- name: Add the S3 storage provider to Synapse's configuration
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
  notify: Restart Synapse

- name: Remove the S3 storage provider from Synapse's configuration
  matrix_ops.synapse_s3.storage_provider_config:
    state: absent
    config_paths:
      - /etc/matrix-synapse/homeserver.yaml
      - /etc/matrix-synapse/conf.d
    user: matrix-synapse
    working_directory: /var/lib/matrix-synapse
  vars:
    ansible_python_interpreter: /opt/venvs/matrix-synapse/bin/python
  notify: Restart Synapse
"""

RETURN = r"""
file:
  description: The file that contains the entry, or contained it; none if there was no entry.
  returned: success
  type: str
  sample: /etc/matrix-synapse/conf.d/synapse-s3.yaml
files:
  description: All files that contain the entry, or contained it; more than one only with O(processes).
  returned: success
  type: list
  elements: str
  version_added: 1.2.0
action:
  description:
    - What was done, or would be done in check mode.
    - V(created) is a new file, V(inserted) an entry in a file that existed, V(adopted) the replacement of an entry that
      the operator wrote, V(updated) a change of what this module has written, or of its position or the access to its
      file.
  returned: success
  type: str
  choices: [created, inserted, adopted, updated, removed, none]
validated:
  description: Whether Synapse has parsed and accepted the configuration.
  returned: success
  type: bool
validation_skipped:
  description: Why the configuration was not validated; none if it was.
  returned: success
  type: str
mode_changes:
  description: Sentences that name the changes of the access to the file.
  returned: success
  type: list
  elements: str
"""

import sys
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.connection_options import (
    CONNECTION_ARGUMENTS,
    settings_from,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.access import (
    Reader,
    home_of,
    planned_access,
    reader_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.diff import diffs_of
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.entry import (
    PROVIDERS,
    ProviderEntry,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.plan import Layout, Plan
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.several_processes import (
    ProcessLayout,
    plan_entries,
    plan_of,
    plan_removals,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.validation import (
    Validator,
    validate_plan,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_edit.writer import apply_plans
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import (
    ConfigurationError,
    MediaError,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    YAML_IMPORT_ERROR,
    absolute,
)


@dataclass(frozen=True)
class Process:
    """A process whose configuration is edited, or only parsed, and the directory from which it takes relative paths."""

    edited: ProcessLayout
    working_directory: str


def processes_of(params: dict[str, Any]) -> list[Process]:
    """The process of the module's own options first. Raises ConfigurationError."""
    directory = params["working_directory"]
    drop_in = params["drop_in_directory"]
    layout = Layout(
        paths=[absolute(path, directory) for path in params["config_paths"]],
        drop_in_directory=absolute(drop_in, directory) if drop_in else None,
        keys_directory=absolute(params["keys_directory"], directory) if params["keys_directory"] else None,
    )
    found = [Process(ProcessLayout("Synapse", layout), directory)]
    for given in params["processes"]:
        try:
            name, directory = str(given["service"]), str(given["working_directory"])
            paths = [absolute(str(path), directory) for path in given["config_paths"]]
            keys_directory, serves_media = given["keys_directory"], bool(given["serves_media"])
        except (KeyError, TypeError) as error:
            raise ConfigurationError(
                f"An element of processes lacks {error}. Give each as the module synapse_preflight_info returns it."
            ) from error
        if paths == list(layout.paths):
            found[0] = Process(ProcessLayout(name, layout), found[0].working_directory)
            continue
        own = Layout(paths, keys_directory=absolute(str(keys_directory), directory) if keys_directory else None)
        found.append(Process(ProcessLayout(name, own, serves_media), directory))
    return found


def validate(module: AnsibleModule, processes: list[Process], plans: list[Plan], reader: Reader) -> str | None:
    """Lets Synapse parse the configuration of every process that reads a changed file; why it did not, or None."""
    params = module.params
    if not params["validate"]:
        return "Not validated, because validate is false."
    for process in processes:
        plan = plan_of(process.edited, plans)
        if not plan.changes:
            continue
        validator = Validator(
            python=params["python"] or sys.executable,
            uid=reader.uid,
            gid=reader.gid,
            groups=list(reader.groups),
            home=home_of(params["user"]),
            working_directory=process.working_directory,
            keys_directory=process.edited.layout.keys_directory,
        )
        try:
            skipped = validate_plan(plan, validator, module.check_mode)
        except ConfigurationError as error:
            raise ConfigurationError(f"{process.edited.name}: {error}" if len(processes) > 1 else str(error)) from error
        if skipped:
            return skipped
    return None


def run(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    reader = reader_of(params["user"], params["group"])
    processes = processes_of(params)
    layouts = [process.edited for process in processes]
    entry = None
    if params["state"] == "present":
        switches = {name: params[name] for name in ("store_local", "store_remote", "store_synchronous")}
        module_name, options = PROVIDERS[params["provider"]], params["provider_options"]
        entry = ProviderEntry(settings_from(params), **switches, module=module_name, options=options)
    plans = plan_entries(layouts, entry, params["confirm_location"]) if entry else plan_removals(layouts)
    holds_secret = bool(entry and entry.holds_secret())
    accesses = [planned_access(plan, reader, holds_secret) for plan in plans]
    tightened = [access for access in accesses if access and access.before not in (None, access.after)]
    changes = any(plan.changes for plan in plans)
    files = [plan.file for plan in plans if plan.file]
    action = next((plan.action for plan in plans if plan.action != "none"), "none")

    skipped = validate(module, processes, plans, reader) if changes else "Nothing changes."
    for warning in dict.fromkeys(warning for plan in plans for warning in plan.warnings):
        module.warn(warning)
    if not module.check_mode:
        apply_plans(list(zip(plans, accesses)))
    return {
        "changed": changes or bool(tightened),
        "file": next(iter(files), None),
        "files": files,
        "action": "updated" if tightened and action == "none" else action,
        "validated": skipped is None,
        "validation_skipped": skipped,
        "mode_changes": [str(access) for access in tightened],
        "diff": [part for plan, access in zip(plans, accesses) for part in diffs_of(plan, access)],
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
            "processes": {"type": "list", "elements": "dict", "default": []},
            "store_local": {"type": "bool", "default": True},
            "store_remote": {"type": "bool", "default": True},
            "store_synchronous": {"type": "bool", "default": True},
            "provider": {"type": "str", "choices": ["official", "resilient"], "default": "official"},
            "provider_options": {"type": "dict", "default": {}},
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
