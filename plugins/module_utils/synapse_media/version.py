# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version of the collection, which galaxy.yml repeats: on a host that file is not there to be read."""

from __future__ import annotations

VERSION = "1.1.0"
USER_AGENT = f"matrix_ops.synapse_s3/{VERSION}"
