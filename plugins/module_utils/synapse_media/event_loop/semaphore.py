# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A limit on how many tasks of the loop do something at the same time."""

from __future__ import annotations

import collections
from typing import Any

from .loop import Loop, Task, suspend


class Semaphore:
    """``async with`` it: at most ``count`` tasks are inside at a time, in the order in which they came."""

    def __init__(self, loop: Loop, count: int) -> None:
        self._loop = loop
        self._allowed = count
        self._inside = 0
        self._waiting: collections.deque[_Waiter] = collections.deque()

    async def enter(self) -> None:
        if self._inside < self._allowed:
            self._inside += 1
            return
        waiter = _Waiter(self._loop.current)
        self._waiting.append(waiter)
        try:
            await suspend()
        except BaseException:
            # Closed after it was let in and before it could know.
            if waiter.let_in:
                self.leave()
            raise

    def allow(self, count: int) -> None:
        """Changes the limit; tasks that are inside stay."""
        self._allowed = count
        self._let_in()

    def leave(self) -> None:
        self._inside -= 1
        if self._waiting:
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self._inside < self._allowed:
            waiter = self._waiting.popleft()
            if not waiter.task.finished:
                self._inside += 1
                waiter.let_in = True
                self._loop.resume(waiter.task)

    async def __aenter__(self) -> None:
        await self.enter()

    async def __aexit__(self, *exception: object) -> None:
        self.leave()


class _Waiter:
    """A task that waits to enter."""

    __slots__ = ("let_in", "task")

    def __init__(self, task: Task[Any]) -> None:
        self.task = task
        self.let_in = False
