"""Stands in for the get-pip.py that ansible-test downloads: makes pip out of what Python itself carries.

ansible-test hands over pip's own options, which pip's bundled version does not need to know.
"""

from __future__ import annotations

import ensurepip

ensurepip.bootstrap()
