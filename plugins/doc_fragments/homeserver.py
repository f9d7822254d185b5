# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options about media and the database; their argument spec is in module_utils/homeserver_options.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  media_path:
    description:
      - The media store, as an absolute path.
      - By default it is read from O(homeserver_config).
    type: path
  homeserver_config:
    description:
      - The files and directories of Synapse's configuration, in the order of its C(-c) options.
      - Synapse's database and its media store are read from there unless O(database) and O(media_path) are given.
    type: list
    elements: path
  synapse_configs:
    description:
      - For each process of Synapse that may serve media, the files and directories of its configuration as a list of
        their own, in the order of its C(-c) options. Processes that serve no media are ignored.
      - They are read only for O(provider_check), by a run that deletes local files.
      - By default O(homeserver_config) alone.
    type: list
    elements: list
    version_added: 1.1.0
  working_directory:
    description: Synapse's working directory, to which relative paths in its configuration refer.
    type: path
  database:
    description:
      - Synapse's database with C(name) (V(psycopg2) or V(sqlite3)) and C(args), as in C(homeserver.yaml).
      - Needed only without O(homeserver_config).
    type: dict
  provider_check:
    description:
      - Whether a run that deletes local files needs an entry in C(media_storage_providers) of each process that serves
        media, with the module of upstream's storage provider or of the resilient one, and this bucket, prefix, endpoint
        and customer key.
      - Turn it off only if Synapse fetches the media in another way, such as by a module of your own.
      - If neither O(homeserver_config) nor O(synapse_configs) is given, nothing is checked, and a warning says so.
    type: bool
    default: true
    version_added: 1.1.0
"""
