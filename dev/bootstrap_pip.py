# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replaces the get-pip.py that ansible-test downloads: installs the pip that is bundled with Python.

ansible-test passes pip's own options, which the bundled version does not need.
"""

from __future__ import annotations

import ensurepip

ensurepip.bootstrap()
