# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An event loop for native coroutines, made for many small requests: asyncio costs several times as much a request."""

from __future__ import annotations

import collections
import contextlib
import heapq
import itertools
import os
import select
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from .threads import Threads

T = TypeVar("T")
R = TypeVar("R")

# Every so many seconds the waits for sockets are checked for those that have lasted too long.
SWEEP_INTERVAL = 0.2
# Only on Linux, which is where Synapse runs; on other systems this must still import.
_READ = getattr(select, "EPOLLIN", 1)
_HUNG = getattr(select, "EPOLLRDHUP", 0x2000) | getattr(select, "EPOLLHUP", 16) | getattr(select, "EPOLLERR", 8)
_EDGES = _READ | getattr(select, "EPOLLOUT", 4) | getattr(select, "EPOLLRDHUP", 0x2000) | getattr(select, "EPOLLET", 0)


@types.coroutine
def suspend() -> Generator[None, Any, Any]:
    """Suspends the current task until Loop.resume() is called with it; returns the value given there."""
    return (yield)


class Task(Generic[T]):
    """A coroutine that runs beside others. Await it for its result, or for the error it ended with."""

    __slots__ = ("_loop", "_waiting", "coroutine", "error", "finished", "result")

    def __init__(self, loop: Loop, coroutine: Coroutine[Any, Any, T]) -> None:
        self._loop = loop
        self.coroutine = coroutine
        self.finished = False
        self.result: T | None = None
        self.error: BaseException | None = None
        self._waiting: list[Task[Any]] = []

    def __await__(self) -> Generator[Any, Any, T]:
        if not self.finished:
            self._waiting.append(self._loop.current)
            yield
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]

    def end(self, result: T | None, error: BaseException | None) -> bool:
        """Resumes the tasks that await this one; returns whether there are any."""
        self.finished = True
        self.result = result
        self.error = error
        for waiting in self._waiting:
            self._loop.resume(waiting)
        return bool(self._waiting)


class Channel:
    """A socket in the loop. Each event is reported once (edge-triggered): ``events`` has those no task waited for."""

    __slots__ = ("deadline", "descriptor", "events", "hung", "limit", "task")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.task: Task[Any] | None = None
        self.deadline = 0.0
        # No wait lasts beyond this time, on the clock of Loop.now, whatever its timeout is.
        self.limit = float("inf")
        self.events = 0
        self.hung = False


class Loop:
    """Runs coroutines in this thread, and blocking functions in up to ``threads`` others."""

    def __init__(self, threads: int = 4) -> None:
        self.current: Task[Any]
        self._ready: collections.deque[tuple[Task[Any], Any, BaseException | None]] = collections.deque()
        self._tasks: set[Task[Any]] = set()
        self._timers: list[tuple[float, int, Task[Any]]] = []
        self._order = itertools.count()
        self._channels: dict[int, Channel] = {}
        # When this turn began: cheaper than reading the clock for each request.
        self.now = time.monotonic()
        self._next_sweep = self.now + SWEEP_INTERVAL
        self._interruption: BaseException | None = None
        self._unawaited_error: BaseException | None = None
        self._closed = False
        self._poller = select.epoll()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poller.register(self._wake_reader, _READ)
        self._threads = Threads(threads, self._wake_writer)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs all tasks until ``main`` has ended, and returns its result.

        The error given to interrupt() is raised from here at the next turn, and so is the error of a task that no
        other task awaits. Tasks that have not ended by then are closed; run() may be called again afterwards.
        """
        task = self.start(main)
        try:
            while not task.finished:
                self._raise_pending()
                self._turn()
            self._raise_pending()
        finally:
            self._close_tasks()
        return task.result  # type: ignore[return-value]

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Runs the coroutine concurrently. If it fails and no task awaits it, run() ends with its error."""
        task = Task(self, coroutine)
        self._tasks.add(task)
        self._ready.append((task, None, None))
        return task

    def resume(self, task: Task[Any], value: Any = None, error: BaseException | None = None) -> None:
        """Resumes a task in suspend(), with a value or an error. Call it exactly once for each suspend()."""
        self._ready.append((task, value, error))

    @types.coroutine
    def sleep(self, seconds: float) -> Generator[None, None, None]:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), self.current))
        yield

    async def in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        """Runs the function in a thread of the pool; returns its result or raises its error."""
        self._threads.submit(self.current, function, arguments)
        result: R = await suspend()
        return result

    def allow_threads(self, count: int) -> None:
        """Lets in_thread() use up to ``count`` threads, also for jobs that wait already; never ends one that runs."""
        self._threads.allow(count)

    def interrupt(self, error: BaseException) -> None:
        """May be called in a signal handler. Further errors are ignored until run() has raised the first."""
        if self._interruption is None:
            self._interruption = error
        if not self._closed:
            # A full pipe wakes the loop as well.
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_writer, b"\0")

    def close(self) -> None:
        """Threads end after their current job; open sockets are closed by their owners."""
        if self._closed:
            return
        self._closed = True
        self._threads.close()
        self._poller.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def watch(self, descriptor: int) -> Channel:
        """Needed before wait() for this socket; unwatch() it before it is closed."""
        channel = self._channels[descriptor] = Channel(descriptor)
        self._poller.register(descriptor, _EDGES)
        return channel

    def unwatch(self, channel: Channel) -> None:
        if self._channels.pop(channel.descriptor, None) is not None and not self._closed:
            # The system itself removes a socket that failed in certain ways.
            with contextlib.suppress(OSError):
                self._poller.unregister(channel.descriptor)

    def end_wait(self, channel: Channel) -> None:
        """Raises TimeoutError in the task that waits for this socket."""
        if channel.task is not None:
            self._ready.append((channel.task, None, TimeoutError()))
            channel.task = None

    def wait(self, channel: Channel, timeout: float) -> Awaitable[None]:
        """Waits until the socket has had an event since the last wait(); TimeoutError after ``timeout`` seconds."""
        return self._wait(channel, timeout)

    @types.coroutine
    def _wait(self, channel: Channel, timeout: float) -> Generator[None, None, None]:
        if channel.events or channel.hung:
            channel.events = 0
            return
        channel.task = self.current
        deadline = self.now + timeout
        channel.deadline = deadline if deadline < channel.limit else channel.limit
        yield
        channel.events = 0

    def _turn(self) -> None:
        ready = self._ready
        for descriptor, events in self._poller.poll(0 if ready else self._poll_timeout(), 256):
            channel = self._channels.get(descriptor)
            if channel is not None:
                self._note(channel, events)
            elif descriptor == self._wake_reader:
                self._take_outcomes()
        self.now = now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            ready.append((heapq.heappop(self._timers)[2], None, None))
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_INTERVAL
            self._sweep(now)
        # What becomes ready meanwhile waits for the next turn, so that sockets are polled between.
        for dummy in range(len(ready)):
            self._step(*ready.popleft())
            if self._interruption is not None or self._unawaited_error is not None:
                return

    def _poll_timeout(self) -> float:
        wake = self._next_sweep
        if self._timers and self._timers[0][0] < wake:
            wake = self._timers[0][0]
        return max(0.0, wake - time.monotonic())

    def _note(self, channel: Channel, events: int) -> None:
        channel.events |= events
        if events & _HUNG:
            channel.hung = True
        if channel.task is not None:
            self._ready.append((channel.task, None, None))
            channel.task = None

    def _take_outcomes(self) -> None:
        # Read first: a job that ends after this line writes another byte.
        os.read(self._wake_reader, 4096)
        for task, result, error in self._threads.outcomes():
            self._ready.append((task, result, error))

    def _sweep(self, now: float) -> None:
        for channel in self._channels.values():
            if channel.task is not None and channel.deadline <= now:
                self.end_wait(channel)

    def _step(self, task: Task[Any], value: Any, error: BaseException | None) -> None:
        if task.finished:
            return
        self.current = task
        try:
            if error is None:
                task.coroutine.send(value)
            else:
                task.coroutine.throw(error)
        except StopIteration as ended:
            self._tasks.discard(task)
            task.end(ended.value, None)
        except Exception as failure:
            self._tasks.discard(task)
            if not task.end(None, failure) and self._unawaited_error is None:
                self._unawaited_error = failure

    def _raise_pending(self) -> None:
        # The interruption first: if it stayed, it would end the next run, which cleans up.
        interruption, self._interruption = self._interruption, None
        if interruption is not None:
            raise interruption
        unawaited, self._unawaited_error = self._unawaited_error, None
        if unawaited is not None:
            raise unawaited

    def _close_tasks(self) -> None:
        # All are ended before the first is closed, so that a lock that one releases is not given to another of them.
        abandoned, self._tasks = self._tasks, set()
        for task in abandoned:
            task.end(None, RuntimeError("The task was closed when the loop's run ended."))
        self._threads.forget_waiting()
        self._timers.clear()
        self._unawaited_error = None
        for task in abandoned:
            self.current = task
            # A task that awaits while it is being closed raises an error, which must not keep the others open.
            with contextlib.suppress(Exception):
                task.coroutine.close()
        self._ready.clear()
