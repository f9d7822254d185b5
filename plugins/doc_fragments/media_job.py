# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the modules of the collection's own engine have in common: the user that they become, and what they need."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  user:
    description:
      - The user to switch to if the module is started as root.
      - By default the owner of the media store. V(root) is refused unless the media store belongs to root.
    type: str
requirements:
  - PyYAML, if O(homeserver_config) or O(synapse_configs) is given
  - psycopg2, if Synapse's database is PostgreSQL
  - boto3, if no keys or no O(endpoint_url) are given
notes:
  - Set C(ansible_python_interpreter) to the Python of a virtualenv that has the requirements. The role
    P(matrix_ops.synapse_s3.migrate#role) creates one.
"""
