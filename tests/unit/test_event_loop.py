# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The event loop: tasks, threads, timers, and all ways of stopping it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.loop import Loop, Task
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.event_loop.semaphore import Semaphore


class Stopped(BaseException):
    pass


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop(threads=2)
    yield loop
    loop.close()


def test_returns_the_result_of_main(loop: Loop) -> None:
    async def main() -> int:
        await loop.sleep(0)
        return 7

    assert loop.run(main()) == 7


def test_tasks_overlap_and_give_their_results(loop: Loop) -> None:
    async def nap(number: int) -> int:
        await loop.sleep(0.1)
        return number

    async def main() -> list[int]:
        tasks = [loop.start(nap(number)) for number in range(50)]
        return [await task for task in tasks]

    begun = time.monotonic()
    assert loop.run(main()) == list(range(50))
    assert 0.1 <= time.monotonic() - begun < 2


def test_one_task_may_be_awaited_by_many(loop: Loop) -> None:
    async def slow() -> str:
        await loop.sleep(0.02)
        return "done"

    async def ask(task: Task[str]) -> str:
        return await task

    async def main() -> list[str]:
        shared = loop.start(slow())
        others = [loop.start(ask(shared)) for dummy in range(3)]
        return [await other for other in others]

    assert loop.run(main()) == ["done"] * 3


def test_an_awaited_error_is_raised_in_the_awaiting_task(loop: Loop) -> None:
    async def fail() -> None:
        await loop.sleep(0.01)
        raise ValueError("the task's")

    async def main() -> str:
        try:
            await loop.start(fail())
        except ValueError as error:
            return str(error)
        return "none"

    assert loop.run(main()) == "the task's"


def test_an_error_that_is_not_awaited_ends_the_run(loop: Loop) -> None:
    async def fail() -> None:
        raise ValueError("unheard")

    async def main() -> None:
        loop.start(fail())
        await loop.sleep(30)

    with pytest.raises(ValueError, match="unheard"):
        loop.run(main())


def test_threads_run_in_parallel_and_finish_in_any_order(loop: Loop) -> None:
    ended: list[float] = []

    def sleep_for(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    async def job(seconds: float) -> None:
        ended.append(await loop.in_thread(sleep_for, seconds))

    async def main() -> None:
        tasks = [loop.start(job(seconds)) for seconds in (0.3, 0.05)]
        for task in tasks:
            await task

    loop.run(main())
    assert ended == [0.05, 0.3]


def most_at_once(loop: Loop, jobs: int, counts: tuple[int, ...]) -> int:
    """Return the highest number of parallel jobs while the loop was allowed these numbers of threads, in turn."""
    lock = threading.Lock()
    running = most = 0

    def job() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.1)
        with lock:
            running -= 1

    async def main() -> None:
        tasks = [loop.start(loop.in_thread(job)) for dummy in range(jobs)]
        await loop.sleep(0.02)
        for count in counts:
            loop.allow_threads(count)
        for task in tasks:
            await task

    loop.run(main())
    return most


def test_more_threads_may_be_allowed_while_jobs_wait(loop: Loop) -> None:
    assert most_at_once(loop, 24, (12,)) == 12
    # Threads that were started remain, so only a larger number adds any.
    assert most_at_once(loop, 24, (3,)) == 12
    assert most_at_once(loop, 24, (3, 16)) == 16


def test_no_more_threads_than_jobs_are_started(loop: Loop) -> None:
    loop.allow_threads(64)
    before = threading.active_count()
    assert most_at_once(loop, 5, ()) == 5
    assert threading.active_count() - before <= 5


def test_the_loop_works_where_the_system_refuses_more_threads(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert most_at_once(loop, 2, ()) == 2

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert most_at_once(loop, 6, (8,)) == 2


def test_waiting_jobs_are_dropped_and_a_closed_loop_ends_all_threads() -> None:
    loop = Loop(threads=1)
    release = threading.Event()
    begun: list[int] = []

    def job(number: int) -> None:
        begun.append(number)
        release.wait(10)

    async def main() -> None:
        for number in range(6):
            loop.start(loop.in_thread(job, number))
        loop.allow_threads(3)
        while len(begun) < 3:
            await loop.sleep(0.005)

    names = {thread.name for thread in threading.enumerate()}
    loop.run(main())
    release.set()
    loop.close()
    deadline = time.monotonic() + 5
    while {thread.name for thread in threading.enumerate()} - names and time.monotonic() < deadline:
        time.sleep(0.01)
    assert {thread.name for thread in threading.enumerate()} <= names
    assert sorted(begun) == [0, 1, 2]


def test_an_error_in_a_thread_is_raised_where_it_is_awaited(loop: Loop) -> None:
    async def main() -> None:
        await loop.in_thread(int, "no number")

    with pytest.raises(ValueError, match="no number"):
        loop.run(main())


def test_many_jobs_all_return(loop: Loop) -> None:
    async def main() -> int:
        tasks = [loop.start(loop.in_thread(pow, number, 2)) for number in range(500)]
        return sum([await task for task in tasks])

    assert loop.run(main()) == sum(number * number for number in range(500))
    assert sum(thread.name.startswith("offload-") for thread in threading.enumerate()) >= 1


def test_a_semaphore_limits_the_number_of_tasks(loop: Loop) -> None:
    inside: list[int] = []
    most = 0

    async def work(gate: Semaphore, number: int) -> None:
        nonlocal most
        async with gate:
            inside.append(number)
            most = max(most, len(inside))
            await loop.sleep(0.005)
            inside.remove(number)

    async def main() -> None:
        gate = Semaphore(loop, 3)
        for task in [loop.start(work(gate, number)) for number in range(20)]:
            await task

    loop.run(main())
    assert most == 3


def test_a_signal_interrupts_and_a_later_run_works(loop: Loop) -> None:
    closed: list[str] = []

    async def worker(gate: Semaphore) -> None:
        async with gate:
            try:
                await loop.sleep(60)
            finally:
                closed.append("worker")

    async def main(gate: Semaphore) -> None:
        tasks = [loop.start(worker(gate)) for dummy in range(3)]
        for task in tasks:
            await task

    async def clean_up(gate: Semaphore) -> str:
        async with gate:
            await loop.sleep(0.01)
            return str(await loop.in_thread(str.upper, "clean"))

    gate = Semaphore(loop, 1)
    previous = signal.signal(signal.SIGALRM, lambda number, frame: loop.interrupt(Stopped(number)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        begun = time.monotonic()
        with pytest.raises(Stopped):
            loop.run(main(gate))
        assert time.monotonic() - begun < 5
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert closed == ["worker"]
    # The permit is free although other tasks waited for it when they were closed.
    assert loop.run(clean_up(gate)) == "CLEAN"


def test_a_task_stopped_with_a_permit_releases_it(loop: Loop) -> None:
    gate = Semaphore(loop, 1)

    async def leave_at_the_stop() -> None:
        async with gate:
            await loop.sleep(0.02)
            # The next task in the queue now has the permit, and the run ends before it runs.
            loop.interrupt(Stopped())

    async def queue() -> None:
        async with gate:
            await loop.sleep(60)

    async def main() -> None:
        for task in [loop.start(leave_at_the_stop()), *[loop.start(queue()) for dummy in range(3)]]:
            await task

    async def clean_up() -> int:
        most = inside = 0

        async def work() -> None:
            nonlocal most, inside
            async with gate:
                inside += 1
                most = max(most, inside)
                await loop.sleep(0.001)
                inside -= 1

        for task in [loop.start(work()) for dummy in range(4)]:
            await task
        return most

    with pytest.raises(Stopped):
        loop.run(main())
    assert loop.run(clean_up()) == 1


def test_the_loop_works_after_an_exception_in_a_handler(loop: Loop) -> None:
    def handler(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    async def nap() -> None:
        await loop.sleep(60)

    async def main() -> None:
        for task in [loop.start(nap()) for dummy in range(3)]:
            await task

    async def again() -> int:
        await loop.sleep(0.01)
        return 1

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            loop.run(main())
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert loop.run(again()) == 1


def test_an_interruption_before_the_run_counts(loop: Loop) -> None:
    async def main() -> None:
        await loop.sleep(60)

    loop.interrupt(Stopped())
    loop.interrupt(RuntimeError("the second"))
    with pytest.raises(Stopped):
        loop.run(main())


@pytest.mark.parametrize("failing", [False, True])
def test_an_interruption_at_the_end_does_not_affect_the_clean_up(loop: Loop, failing: bool) -> None:
    async def main() -> None:
        loop.interrupt(Stopped())
        if failing:
            raise ValueError("the run's own")

    async def clean_up() -> str:
        await loop.sleep(0)
        return "clean"

    with pytest.raises(Stopped):
        loop.run(main())
    assert loop.run(clean_up()) == "clean"


def test_the_result_of_a_thread_of_a_stopped_run_is_dropped(loop: Loop) -> None:
    release = threading.Event()
    began = threading.Event()

    def slow() -> str:
        began.set()
        release.wait(10)
        return "late"

    async def main() -> None:
        loop.start(loop.in_thread(slow))
        while not began.is_set():
            await loop.sleep(0.005)
        loop.interrupt(Stopped())
        await loop.sleep(60)

    async def clean_up() -> str:
        release.set()
        await loop.sleep(0.05)
        return await loop.in_thread(str, "fresh")

    with pytest.raises(Stopped):
        loop.run(main())
    assert loop.run(clean_up()) == "fresh"


def test_a_task_that_awaits_while_it_is_closed_does_not_block_the_others(loop: Loop) -> None:
    closed: list[str] = []

    async def stubborn() -> None:
        try:
            await loop.sleep(60)
        finally:
            await loop.sleep(60)

    async def tidy() -> None:
        try:
            await loop.sleep(60)
        finally:
            closed.append("tidy")

    async def main() -> None:
        for dummy in range(3):
            loop.start(stubborn())
            loop.start(tidy())
        await loop.sleep(0.01)

    loop.run(main())
    assert closed == ["tidy"] * 3


def test_a_silent_socket_times_out_and_an_active_one_does_not(loop: Loop) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:

        async def until_readable(timeout: float) -> bytes:
            while True:
                try:
                    return ours.recv(10)
                except BlockingIOError:
                    await loop.wait(channel, timeout)

        async def speak() -> None:
            await loop.sleep(0.3)
            theirs.send(b"hello")

        async def main() -> bytes:
            with pytest.raises(TimeoutError):
                await until_readable(0.1)
            loop.start(speak())
            return await until_readable(5)

        channel = loop.watch(ours.fileno())
        assert loop.run(main()) == b"hello"
        loop.unwatch(channel)


def test_a_closed_loop_writes_to_no_descriptor_of_others() -> None:
    loop = Loop(threads=1)
    release = threading.Event()

    async def main() -> None:
        loop.start(loop.in_thread(release.wait, 10))
        await loop.sleep(0.05)

    loop.run(main())
    loop.close()
    reader, writer = os.pipe2(os.O_NONBLOCK)
    others = [os.dup(writer) for dummy in range(8)]
    release.set()
    loop.interrupt(Stopped())
    time.sleep(0.1)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    for descriptor in (reader, writer, *others):
        os.close(descriptor)
