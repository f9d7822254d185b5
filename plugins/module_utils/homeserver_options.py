# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options about the location of media and the database; documented in the doc fragment ``homeserver``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.config import (
    SourceSettings,
    path_lists,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.yaml_loader import HAS_YAML

HOMESERVER_ARGUMENTS: dict[str, dict[str, Any]] = {
    "media_path": {"type": "path"},
    "homeserver_config": {"type": "list", "elements": "path"},
    "synapse_configs": {"type": "list", "elements": "list"},
    "working_directory": {"type": "path"},
    "database": {"type": "dict", "no_log": True},
    "provider_check": {"type": "bool", "default": True},
}


def media_module(arguments: dict[str, dict[str, Any]]) -> AnsibleModule:
    """A module with these arguments, the options of the homeserver among them: it is told where media and rows are."""
    module = AnsibleModule(
        argument_spec=arguments,
        supports_check_mode=True,
        required_one_of=[("media_path", "homeserver_config"), ("database", "homeserver_config")],
    )
    check_homeserver_options(module)
    return module


def check_homeserver_options(module: AnsibleModule) -> None:
    """Lets the module show what of the database is no secret; ends it where PyYAML is needed and missing."""
    module.no_log_values -= public_database_values(module.params["database"])
    if not HAS_YAML and (module.params["homeserver_config"] or module.params["synapse_configs"]):
        module.fail_json(msg=missing_required_lib("PyYAML"))


def source_from(params: Mapping[str, Any]) -> SourceSettings:
    """The source of the media in a module's parameters. Raises ConfigurationError."""
    return SourceSettings(
        media_path=params["media_path"],
        homeserver_config=tuple(params["homeserver_config"] or ()),
        synapse_configs=path_lists(params["synapse_configs"], "the task"),
        working_directory=params["working_directory"],
        database=params["database"],
    )


def public_database_values(database: Mapping[str, Any] | None) -> set[str]:
    """The values in the option `database` that are no secrets.

    The option is no_log as a whole, so that without an exception Ansible would mask its port, or the user "synapse", in
    every text of the result.
    """
    args = (database or {}).get("args")
    if not isinstance(args, dict):
        return set()
    secret = {str(value) for name, value in args.items() if "password" in name}
    return _leaves(database) - secret


def _leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return {leaf for each in value for leaf in _leaves(each)}
    return {str(value)}
