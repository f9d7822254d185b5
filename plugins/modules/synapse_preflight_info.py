#!/usr/bin/python
# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: synapse_preflight_info
short_description: Look at a host before anything is changed on it
version_added: 1.1.0
description:
  - Gathers all that the roles of the collection have to know of a host beside how Synapse is started, in one call.
  - Reads Synapse's configuration as M(matrix_ops.synapse_s3.homeserver_config_info) does.
  - Lists all directories that must not become the collection's own, each with the remedy.
author:
  - matrix_ops.synapse_s3 contributors (@matrix-ops)
extends_documentation_fragment:
  - matrix_ops.synapse_s3.attributes.info_module
options:
  config_paths:
    description:
      - Files and directories that Synapse is started with, in their order. Reading them needs PyYAML.
      - Without them, no configuration is read.
    type: list
    elements: path
    default: []
  working_directory:
    description: Directory from which Synapse takes relative paths.
    type: path
    default: /
  processes:
    description:
      - Processes of Synapse, as M(matrix_ops.synapse_s3.synapse_info) returns them. Reading their files needs PyYAML.
    type: list
    elements: dict
    default: []
    version_added: 1.2.0
  media_path:
    description: Folder of Synapse's media. Empty takes C(media_store_path) of the configuration.
    type: str
    default: ""
  mounts:
    description:
      - The mounts of Synapse's container, each with C(destination) in it and C(source) on the host. O(media_path) is
        then a path in the container, and is looked up behind its mount.
      - Without them, O(media_path) is a path on the host.
    type: list
    elements: dict
    default: []
    suboptions:
      destination:
        description: Path in the container.
        type: str
        required: true
      source:
        description: Path on the host.
        type: str
        required: true
      volume:
        description: Name of the volume, where it is one. It does not matter here.
        type: str
        default: ""
      writable:
        description: Whether Synapse may write to it. It does not matter here.
        type: bool
        default: true
    version_added: 1.2.0
  paths:
    description: Paths to look up.
    type: list
    elements: str
    default: []
  checksums:
    description: Files whose SHA-256 is asked for.
    type: list
    elements: str
    default: []
  patterns:
    description: Patterns of the shell for paths to look for.
    type: list
    elements: str
    default: []
  records:
    description: Files that hold a JSON object.
    type: list
    elements: path
    default: []
  pythons:
    description: Pythons to look into.
    type: list
    elements: str
    default: []
  directories:
    description: Directories that are, or are to become, the collection's own.
    type: list
    elements: dict
    default: []
    suboptions:
      setting:
        description: Variable that names the directory.
        type: str
        required: true
      path:
        description: The directory, as the variable gives it.
        type: str
        required: true
      marks:
        description: Relative paths of which the collection makes at least one before anything else.
        type: list
        elements: str
        default: []
      removes:
        description:
          - Relative paths that a removal is about to remove. A directory with none of them is left as it is.
          - Empty where nothing is removed.
        type: list
        elements: str
        default: []
  synapse_paths:
    description:
      - What belongs to Synapse, so that none of O(directories) may be it or contain it. The configuration and the media
        count without being named.
    type: list
    elements: str
    default: []
  user:
    description: User Synapse runs as. Required for O(readable), O(writable) and O(imports).
    type: str
  group:
    description: Group Synapse runs as. Required where O(user) is given.
    type: str
  readable:
    description: Files that this user must be able to read.
    type: list
    elements: path
    default: []
  writable:
    description: Directories that this user must be able to write to.
    type: list
    elements: path
    default: []
  imports:
    description: Module that this user must be able to import, with the first of O(pythons).
    type: str
  import_fail_msg:
    description:
      - Message with which the call fails where the user cannot import O(imports). What Python says is added to it.
      - Without it, RV(import_error) tells, and the call does not fail.
    type: str
    version_added: 1.2.0
  times:
    description: Calendar expressions and time spans that systemd must take.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: What is written.
        type: str
        choices: [calendar, timespan]
        required: true
      value:
        description: How it is written.
        type: str
        required: true
  units:
    description: Units to ask systemd about.
    type: list
    elements: str
    default: []
notes:
  - Needs PyYAML where O(config_paths) is given, so it is best run with Synapse's own Python as
    C(ansible_python_interpreter).
seealso:
  - module: matrix_ops.synapse_s3.synapse_info
  - module: matrix_ops.synapse_s3.homeserver_config_info
"""

EXAMPLES = r"""
- name: Look at the host
  matrix_ops.synapse_s3.synapse_preflight_info:
    config_paths:
      - /etc/matrix-synapse/homeserver.yaml
    working_directory: /var/lib/matrix-synapse
    pythons:
      - /opt/venvs/matrix-synapse/bin/python
    directories:
      - setting: synapse_s3_config_dir
        path: /etc/synapse-s3
        marks: [location.json]
  vars:
    ansible_python_interpreter: /opt/venvs/matrix-synapse/bin/python
  register: host

- name: Refuse directories of others
  ansible.builtin.assert:
    that: host.problems | length == 0
    fail_msg: "{{ host.problems | join('\n') }}"
"""

RETURN = r"""
homeserver:
  description:
    - What the merged configuration says, as M(matrix_ops.synapse_s3.homeserver_config_info) returns it.
    - Empty without O(config_paths).
  returned: success
  type: dict
processes:
  description:
    - Each of O(processes) with its C(worker_name) (none for the main process), whether it C(serves_media), its
      C(media_store_path), C(enable_local_media_storage), C(config_files) and C(storage_providers) as
      M(matrix_ops.synapse_s3.homeserver_config_info) returns them, and the C(url) at which it answers.
  returned: success
  type: list
  elements: dict
  version_added: 1.2.0
process_problems:
  description: In words, why the media of these processes cannot be put on S3, each with the remedy; for more than one.
  returned: success
  type: list
  elements: str
  version_added: 1.2.0
media_path:
  description: Folder of Synapse's media; empty where nothing names it.
  returned: success
  type: str
  sample: /var/lib/matrix-synapse/media
media_directory:
  description:
    - The same folder as a path on the host. It is another one only with O(mounts), and empty where it lies on none.
  returned: success
  type: str
  version_added: 1.2.0
  sample: /var/lib/matrix-synapse/media
problems:
  description: In words, which of O(directories) is refused and why, each with the remedy.
  returned: success
  type: list
  elements: str
paths:
  description:
    - For each of O(paths) and for RV(media_directory) whether it C(exists), C(is_directory), C(is_file) and
      C(is_world_readable), and its C(real_path) with all links followed.
    - Of what exists also its C(mode) in octal, and the C(uid) and C(gid) of its owner.
  returned: success
  type: dict
checksums:
  description: For each of O(checksums) its SHA-256 in hexadecimal; empty where there is no file.
  returned: success
  type: dict
found:
  description: Paths that match one of O(patterns).
  returned: success
  type: list
  elements: str
records:
  description: For each of O(records) the object in it; none where there is no file.
  returned: success
  type: dict
pythons:
  description:
    - For each of O(pythons) its C(version), whether it C(makes_virtualenvs) and is C(externally_managed), its
      C(packages) (name and version), their C(packages_directory), and the C(owner) of that.
    - The last line of its C(error) where it cannot be run, none where it can.
  returned: success
  type: dict
unreadable:
  description: Those of O(readable) that the user cannot read.
  returned: success
  type: list
  elements: str
unwritable:
  description: Those of O(writable) that the user cannot write to, or that are no directories.
  returned: success
  type: list
  elements: str
import_error:
  description: The last line of what Python says when the user imports the module; none where that works.
  returned: success
  type: str
times:
  description: For each of O(times) whether it is C(valid) and C(is_due) at some time, and the C(message) of systemd.
  returned: success
  type: list
  elements: dict
units:
  description:
    - For each of O(units) that systemd knows its C(active_state) and its C(unit_file_state), in systemd's words, such
      as V(active) and V(enabled).
  returned: success
  type: dict
  version_added: 1.2.0
units_to_reload:
  description: Those of O(units) whose files have changed since systemd read them.
  returned: success
  type: list
  elements: str
"""

import glob
import os
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils import host_facts
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.homeserver_summary import (
    retention_warning,
    summary,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.own_directory import OwnDirectory, problem
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.process_settings import (
    process_problems,
    process_settings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_container.engine import Mount, on_host
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import MediaError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    YAML_IMPORT_ERROR,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.systemd_unit import Run


def host(params: dict[str, Any], run: Run) -> dict[str, Any]:
    """All that does not depend on Synapse's user."""
    homeserver = summary(params["config_paths"], params["working_directory"]) if params["config_paths"] else {}
    processes = [process_settings(process) for process in params["processes"]]
    stores = [process["media_store_path"] for process in processes if process["serves_media"]]
    media_path = params["media_path"] or next(iter(stores), homeserver.get("media_store_path", ""))
    mounts = [Mount(**mount) for mount in params["mounts"]]
    media_directory = on_host(mounts, media_path) if mounts else media_path
    files = homeserver.get("config_files", [])
    synapse_paths = [*params["synapse_paths"], *params["config_paths"], *map(os.path.dirname, files)]
    directories = [OwnDirectory(**directory) for directory in params["directories"]]
    problems = [problem(directory, [*synapse_paths, *filter(None, [media_directory])]) for directory in directories]
    return {
        "homeserver": homeserver,
        "processes": processes,
        "process_problems": process_problems(processes),
        "media_path": media_path,
        "media_directory": media_directory,
        "problems": [text for text in problems if text],
        "paths": {path: host_facts.path_facts(path) for path in filter(None, [*params["paths"], media_directory])},
        "checksums": {path: host_facts.checksum(path) for path in params["checksums"]},
        "found": sorted(path for pattern in params["patterns"] for path in glob.glob(pattern)),  # noqa: PTH207 - absolute patterns
        "records": {path: host_facts.record(path) for path in params["records"]},
        "pythons": {path: host_facts.python_facts(run, path) for path in params["pythons"]},
        "times": [host_facts.time_facts(run, **time) for time in params["times"]],
        **host_facts.unit_facts(run, params["units"]),
    }


def abilities(params: dict[str, Any], run: Run) -> dict[str, Any]:
    """What Synapse's user can do."""
    if not params["user"]:
        return {"unreadable": [], "unwritable": [], "import_error": None}
    user = host_facts.User(params["user"], params["group"], run)
    imports = params["imports"] and params["pythons"]
    return {
        "unreadable": user.unreadable(params["readable"]),
        "unwritable": user.unwritable(params["writable"]),
        "import_error": user.import_error(params["pythons"][0], params["imports"]) if imports else None,
    }


def main() -> None:
    paths = {"type": "list", "elements": "path", "default": []}
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "config_paths": paths,
            "working_directory": {"type": "path", "default": "/"},
            "processes": {"type": "list", "elements": "dict", "default": []},
            "media_path": {"type": "str", "default": ""},
            "mounts": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "destination": {"type": "str", "required": True},
                    "source": {"type": "str", "required": True},
                    "volume": {"type": "str", "default": ""},
                    "writable": {"type": "bool", "default": True},
                },
            },
            "paths": names,
            "checksums": names,
            "patterns": names,
            "records": paths,
            "pythons": names,
            "directories": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "setting": {"type": "str", "required": True},
                    "path": {"type": "str", "required": True},
                    "marks": names,
                    "removes": names,
                },
            },
            "synapse_paths": names,
            "user": {"type": "str"},
            "group": {"type": "str"},
            "readable": paths,
            "writable": paths,
            "imports": {"type": "str"},
            "import_fail_msg": {"type": "str"},
            "times": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "kind": {"type": "str", "choices": ["calendar", "timespan"], "required": True},
                    "value": {"type": "str", "required": True},
                },
            },
            "units": names,
        },
        supports_check_mode=True,
    )
    if (module.params["config_paths"] or module.params["processes"]) and YAML_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=YAML_IMPORT_ERROR)

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        # What is set as a Python may be no program, and a host may lack systemd: answers, not failures.
        try:
            status, output, error = module.run_command(list(command), handle_exceptions=False, cwd="/")
        except OSError as error:
            return 127, "", str(error.strerror)
        return status, output, error

    try:
        found = {**host(module.params, run), **abilities(module.params, run)}
    except MediaError as error:
        module.fail_json(msg=str(error))
    if found["import_error"] and module.params["import_fail_msg"]:
        module.fail_json(msg=f"{module.params['import_fail_msg']} Python said: {found['import_error']}")
    homeserver = found["homeserver"]
    warning = retention_warning(homeserver["media_retention"], homeserver["config_files"]) if homeserver else None
    if warning:
        module.warn(warning)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
