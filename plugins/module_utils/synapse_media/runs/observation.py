# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lets whoever asked for a run see how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..event_loop.loop import Loop

R = TypeVar("R")

_EVERY = 0.25


async def show(loop: Loop, observe: Callable[[R], None], report: R) -> None:
    """Calls `observe` again and again, until the loop's run has ended."""
    while True:
        observe(report)
        await loop.sleep(_EVERY)
