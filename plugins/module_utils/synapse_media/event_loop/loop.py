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

# How often, in seconds, waits for a socket are looked through for those that have lasted too long.
SWEEP_INTERVAL = 0.2
# Only on Linux, which is where Synapse runs; on other systems this must still import.
_READ = getattr(select, "EPOLLIN", 1)
_HUNG = getattr(select, "EPOLLRDHUP", 0x2000) | getattr(select, "EPOLLHUP", 16) | getattr(select, "EPOLLERR", 8)
_EDGES = _READ | getattr(select, "EPOLLOUT", 4) | getattr(select, "EPOLLRDHUP", 0x2000) | getattr(select, "EPOLLET", 0)


@types.coroutine
def suspend() -> Generator[None, Any, Any]:
    """Parks the current task until Loop.resume() is called with it; gives the value that came with that."""
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
        """Hands the outcome to those who wait; false where nobody does."""
        self.finished = True
        self.result = result
        self.error = error
        for waiting in self._waiting:
            self._loop.resume(waiting)
        return bool(self._waiting)


class Channel:
    """One socket as the loop sees it. Readiness comes as edges: those that nobody waited for are kept in ``events``."""

    __slots__ = ("deadline", "descriptor", "events", "hung", "limit", "task")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.task: Task[Any] | None = None
        self.deadline = 0.0
        # No wait lasts beyond this moment, whatever its timeout is: on the clock of Loop.now.
        self.limit = float("inf")
        self.events = 0
        self.hung = False


class Loop:
    """Runs coroutines on this thread, and jobs that block on up to ``threads`` others."""

    def __init__(self, threads: int = 4) -> None:
        self.current: Task[Any]
        self._ready: collections.deque[tuple[Task[Any], Any, BaseException | None]] = collections.deque()
        self._tasks: set[Task[Any]] = set()
        self._timers: list[tuple[float, int, Task[Any]]] = []
        self._order = itertools.count()
        self._channels: dict[int, Channel] = {}
        # When this turn began: cheaper than to look at the clock once a request.
        self.now = time.monotonic()
        self._next_sweep = self.now + SWEEP_INTERVAL
        self._interruption: BaseException | None = None
        self._unheard: BaseException | None = None
        self._closed = False
        self._poller = select.epoll()
        self._wake_reader, self._wake_writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poller.register(self._wake_reader, _READ)
        self._threads = Threads(threads, self._wake_writer)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Drives everything until ``main`` has ended, and gives its result.

        What interrupt() was given is raised from here at the next turn, and so is the error of a task that nobody
        awaits. Tasks that are still under way then are closed where they stand; run() may be called again afterwards.
        """
        task = self.start(main)
        try:
            while not task.finished:
                self._raise_pending()
                self._turn()
            self._raise_pending()
        finally:
            self._abandon_tasks()
        return task.result  # type: ignore[return-value]

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Runs the coroutine beside the others. An error while nobody awaits the task ends run()."""
        task = Task(self, coroutine)
        self._tasks.add(task)
        self._ready.append((task, None, None))
        return task

    def resume(self, task: Task[Any], value: Any = None, error: BaseException | None = None) -> None:
        """Wakes a task out of suspend(), with a value or an error. Exactly once a suspend()."""
        self._ready.append((task, value, error))

    @types.coroutine
    def sleep(self, seconds: float) -> Generator[None, None, None]:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), self.current))
        yield

    async def in_thread(self, function: Callable[..., R], *arguments: Any) -> R:
        """The function's result, or its error; it runs on a thread of the pool meanwhile."""
        self._threads.submit(self.current, function, arguments)
        result: R = await suspend()
        return result

    def allow_threads(self, count: int) -> None:
        """Lets in_thread() use up to ``count`` threads, also for jobs that wait already; never ends one that runs."""
        self._threads.allow(count)

    def interrupt(self, error: BaseException) -> None:
        """Safe from a signal handler. The first one counts until run() has raised it."""
        if self._interruption is None:
            self._interruption = error
        if not self._closed:
            # A full pipe wakes the loop just as well.
            with contextlib.suppress(BlockingIOError):
                os.write(self._wake_writer, b"\0")

    def close(self) -> None:
        """Threads end with the job they are at; open sockets are their owners' to close."""
        if self._closed:
            return
        self._closed = True
        self._threads.close()
        self._poller.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def watch(self, descriptor: int) -> Channel:
        """From now on wait() works for this socket; unwatch() it before it is closed."""
        channel = self._channels[descriptor] = Channel(descriptor)
        self._poller.register(descriptor, _EDGES)
        return channel

    def unwatch(self, channel: Channel) -> None:
        if self._channels.pop(channel.descriptor, None) is not None and not self._closed:
            # The system forgets a socket by itself when it breaks in certain ways.
            with contextlib.suppress(OSError):
                self._poller.unregister(channel.descriptor)

    def end_wait(self, channel: Channel) -> None:
        """Whoever waits for this socket gets a TimeoutError now."""
        if channel.task is not None:
            self._ready.append((channel.task, None, TimeoutError()))
            channel.task = None

    def wait(self, channel: Channel, timeout: float) -> Awaitable[None]:
        """Until something has happened on the socket since the last wait(); TimeoutError after ``timeout`` seconds."""
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
        for descriptor, events in self._poller.poll(0 if ready else self._patience(), 256):
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
        # What becomes ready meanwhile waits for the next turn, so that sockets get their share.
        for dummy in range(len(ready)):
            self._step(*ready.popleft())
            if self._interruption is not None or self._unheard is not None:
                return

    def _patience(self) -> float:
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
        # Emptied first: a job that ends after this line writes a byte of its own.
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
            if not task.end(None, failure) and self._unheard is None:
                self._unheard = failure

    def _raise_pending(self) -> None:
        # The interruption first: left behind, it would end the run that clears up.
        interruption, self._interruption = self._interruption, None
        if interruption is not None:
            raise interruption
        unheard, self._unheard = self._unheard, None
        if unheard is not None:
            raise unheard

    def _abandon_tasks(self) -> None:
        # All are ended before the first is closed: a lock that one gives back is not to be handed to another of them.
        abandoned, self._tasks = self._tasks, set()
        for task in abandoned:
            task.end(None, RuntimeError("The task was closed when the loop's run ended."))
        self._threads.forget_waiting()
        self._timers.clear()
        self._unheard = None
        for task in abandoned:
            self.current = task
            # One that awaits while it is being closed cannot be waited for, and must not keep the others open.
            with contextlib.suppress(Exception):
                task.coroutine.close()
        self._ready.clear()
