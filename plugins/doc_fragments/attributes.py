# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module supports, in the same words everywhere. The module itself adds C(support) to each attribute."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and says what it would change without changing it.
  diff_mode:
    description: Says in C(diff) mode what it changed, or would change, without showing a secret.
  platform:
    description: The systems the module runs on.
    platforms: posix
    support: full
"""

    # A module that only looks has nothing to show in diff mode.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and says what it would change without changing it.
    support: full
    details: This module changes nothing.
  diff_mode:
    description: Says in C(diff) mode what it changed, or would change, without showing a secret.
    support: N/A
    details: This module changes nothing.
  platform:
    description: The systems the module runs on.
    platforms: posix
    support: full
"""

    # For the modules that meta/runtime.yml lists in the action group.
    CONNECTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Takes the defaults that C(module_defaults) gives to C(group/matrix_ops.synapse_s3.connection).
    support: full
    membership:
      - matrix_ops.synapse_s3.connection
"""
