# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""However a run ends and whoever reads its output, the files come first, and the report is complete and correct."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time

import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine, finish
from wire_faults import Pause
from wire_proxy import PUT, WireProxy

STOPPING = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
# Sends signals to its own process while the metrics are written, and otherwise runs the command as it is.
SIGNALLED = """
import os, signal, runpy, sys
from synapse_media.offload import engine
write = engine.write_metrics
def signalled(*arguments, **options):
    for dummy in range(3):
        os.kill(os.getpid(), {number})
    write(*arguments, **options)
    os.kill(os.getpid(), {number})
engine.write_metrics = signalled
sys.argv[0] = "synapse_media"
runpy.run_module("synapse_media.cli", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def filled(library: Library, inventory: MediaInventory) -> Library:
    library.add([19_000] * 20, thumbnails=1)
    inventory.record_files()
    return library


def start_signalled(engine: Engine, number: signal.Signals) -> subprocess.Popen[str]:
    engine.code = SIGNALLED.format(number=int(number))
    return engine.start()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("number", STOPPING, ids=lambda number: number.name)
def test_a_signal_while_the_metrics_are_written(
    engine: Engine, inventory: MediaInventory, number: signal.Signals
) -> None:
    metrics = engine.library.directory / "offload.prom"
    engine.offload["metrics_file"] = str(metrics)
    outcome = finish(start_signalled(engine, number))
    # All work was done by then, so the report says so.
    assert outcome.status == 0, outcome.errors
    assert outcome.files("deleted") == 40 and "error" not in outcome.report and outcome.errors == ""
    assert "\nsynapse_s3_offload_success 1\n" in metrics.read_text()
    inventory.assert_all_moved()


def with_many_failures(library: Library, inventory: MediaInventory) -> None:
    """A report that is larger than a pipe's buffer."""
    for item in library.add([1000] * 400, thumbnails=0):
        library.put(item.original, b"not what the row says")
    inventory.record_files()


def test_a_signal_while_the_report_is_read_slowly(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    with_many_failures(library, inventory)
    reader, writer = os.pipe()
    process = engine.start(stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    with os.fdopen(reader, "rb") as output:
        first = output.read(1)
        for dummy in range(3):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
        report = json.loads(first + output.read())
    process.communicate()
    assert process.returncode == 1 and report["failures"] == 400 == len(report["failed"])


def test_a_reader_that_reads_nothing_does_not_delay_a_stop(
    library: Library, engine: Engine, inventory: MediaInventory
) -> None:
    with_many_failures(library, inventory)
    reader, writer = os.pipe()
    try:
        process = engine.start(stdout=writer, stderr=subprocess.DEVNULL)
        os.close(writer)
        assert os.read(reader, 1) == b"{"
        time.sleep(0.5)
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 1 and time.monotonic() - began < 5
    finally:
        os.close(reader)
    inventory.assert_nothing_lost()


@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_reader_that_disconnects(library: Library, engine: Engine, inventory: MediaInventory, gone: str) -> None:
    library.add([19_000] * 20, thumbnails=1)
    bad = library.add([1000], thumbnails=0)[0].original
    library.put(bad, b"not what the row says")
    inventory.record_files()
    reader, writer = os.pipe()
    os.close(reader)
    process = engine.start(stdout=writer) if gone == "stdout" else engine.start(stderr=writer)
    os.close(writer)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1, errors
    assert "Traceback" not in (errors or "") and "Exception" not in (errors or "")
    assert list(inventory.on_disk()) == [bad]
    if gone == "stderr":
        assert json.loads(output)["failures"] == 1


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=str)
def test_closed_standard_streams(engine: Engine, inventory: MediaInventory, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    process = engine.start(before=close)
    process.communicate(timeout=60)
    assert process.returncode == 0
    inventory.assert_all_moved()


@pytest.mark.usefixtures("filled")
def test_a_lost_terminal(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    """During the run, without the signal that usually comes with it."""
    pause = Pause()
    wire.add(PUT, pause, times=1)
    master, terminal = pty.openpty()
    process = engine.start(stdout=terminal, stderr=terminal)
    os.close(terminal)
    assert pause.reached.wait(30)
    os.close(master)
    pause.go_on.set()
    process.wait(60)
    assert process.returncode == 0
    inventory.assert_all_moved()


def ignore(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_that_was_ignored_from_the_start(
    engine: Engine, wire: WireProxy, inventory: MediaInventory, number: signal.Signals
) -> None:
    """`nohup` ignores the first, a shell's background job the second."""
    pause = Pause()
    wire.add(PUT, pause, times=1)
    process = engine.start(before=lambda: ignore(number))
    assert pause.reached.wait(30)
    process.send_signal(number)
    time.sleep(0.5)
    pause.go_on.set()
    outcome = finish(process)
    assert outcome.status == 0, outcome.errors
    inventory.assert_all_moved()


@pytest.mark.usefixtures("filled")
def test_nohup_still_stops_on_sigterm(engine: Engine, wire: WireProxy, inventory: MediaInventory) -> None:
    pause = Pause()
    wire.add(PUT, pause, times=1)
    process = engine.start(before=lambda: ignore(signal.SIGHUP))
    assert pause.reached.wait(30)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    outcome = finish(process)
    pause.go_on.set()
    assert outcome.status == 143, outcome.errors
    inventory.assert_nothing_lost()
