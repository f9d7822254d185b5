# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A few daemon threads for work that blocks: files, SQL, name resolution."""

from __future__ import annotations

import collections
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple


class Outcome(NamedTuple):
    """How a job ended; ``ticket`` is what was given with it."""

    ticket: Any
    result: Any
    error: BaseException | None


class Threads:
    """Runs jobs on up to ``count`` threads, and writes a byte to ``wake_descriptor`` whenever one has ended."""

    def __init__(self, count: int, wake_descriptor: int) -> None:
        self._count = count
        self._wake_descriptor = wake_descriptor
        self._jobs: queue.SimpleQueue[tuple[Any, Callable[..., Any], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._outcomes: collections.deque[Outcome] = collections.deque()
        self._lock = threading.Lock()
        self._closed = False
        self._started = 0
        self._unfinished = 0

    def submit(self, ticket: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._unfinished += 1
        if self._started < self._count and self._started < self._unfinished:
            self._start_one()
        self._jobs.put((ticket, function, arguments))

    def allow(self, count: int) -> None:
        """From now on up to ``count`` threads, which jobs that wait already get too. Those that run go on running."""
        self._count = count
        while self._started < min(self._count, self._unfinished):
            self._start_one()

    def _start_one(self) -> None:
        thread = threading.Thread(target=self._work, name=f"offload-{self._started + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system gives no more threads; those there are do the work.
            if not self._started:
                raise
            self._count = self._started
            return
        self._started += 1

    def outcomes(self) -> list[Outcome]:
        """What has ended since the last call, in that order."""
        ended = [self._outcomes.popleft() for dummy in range(len(self._outcomes))]
        self._unfinished -= len(ended)
        return ended

    def forget_waiting(self) -> None:
        """Jobs that no thread has begun are dropped, so that later ones need not wait for them."""
        while True:
            try:
                self._jobs.get_nowait()
            except queue.Empty:
                return
            self._unfinished -= 1

    def close(self) -> None:
        """Not waited for: a thread may sit in a system call for long, and dies with the process."""
        with self._lock:
            self._closed = True
        self.forget_waiting()
        for dummy in range(self._started):
            self._jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            ticket, function, arguments = job
            try:
                outcome = Outcome(ticket, function(*arguments), None)
            except BaseException as error:
                outcome = Outcome(ticket, None, error)
            self._outcomes.append(outcome)
            del job, ticket, function, arguments, outcome
            self._wake()

    def _wake(self) -> None:
        # Once the loop is closed its descriptor may already be another file's.
        with self._lock:
            if self._closed:
                return
            try:
                os.write(self._wake_descriptor, b"\0")
            except BlockingIOError:
                return  # the pipe is full of wakes that are still to be read
