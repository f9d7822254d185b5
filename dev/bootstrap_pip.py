"""Replaces the get-pip.py that ansible-test downloads: installs the pip that is bundled with Python.

ansible-test passes pip's own options, which the bundled version does not need.
"""

from __future__ import annotations

import ensurepip

ensurepip.bootstrap()
