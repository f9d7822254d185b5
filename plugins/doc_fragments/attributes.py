# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attributes of the modules. A module overrides what is different for it."""

from __future__ import annotations


class ModuleDocFragment:
    # Every module adds the support of diff_mode.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode), predicts the changes and makes none.
    support: full
  diff_mode:
    description: Shows in C(diff) mode what it changed, or would change, without secrets.
  idempotent:
    description: Run twice in a row with the same options, the second run changes nothing and says so.
    support: full
  platform:
    description: Target systems on which the module runs.
    platforms: posix
    support: full
"""

    # For modules that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode), predicts the changes and makes none.
    support: full
    details: This module does not modify anything.
  diff_mode:
    description: Shows in C(diff) mode what it changed, or would change, without secrets.
    support: N/A
    details: This module does not modify anything.
  idempotent:
    description: Run twice in a row with the same options, the second run changes nothing and says so.
    support: full
  platform:
    description: Target systems on which the module runs.
    platforms: posix
    support: full
"""

    # For the modules in the action group of meta/runtime.yml.
    CONNECTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Takes the defaults that C(module_defaults) sets for C(group/matrix_ops.synapse_s3.connection).
    support: full
    membership:
      - matrix_ops.synapse_s3.connection
"""
