# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What unlinking does to directories and hard links, and what is reported when a run ends early."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import offload_engine
import pytest
from library import Library
from media_inventory import MediaInventory
from offload_engine import Engine, Outcome, finish
from wire_faults import refuse
from wire_proxy import PUT, WireProxy

LONG_AGO = (1_700_000_000, 1_700_000_000)
# Imported by every Python process that has its directory on its path.
SLOW_UNLINKS = """
import os, time
unlink = os.unlink
def slowly(*arguments, **options):
    unlink(*arguments, **options)
    time.sleep(0.01)
os.unlink = slowly
"""


@pytest.fixture
def slow_unlinks(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unlink in the engine's process takes 10 ms."""
    customized = library.directory / "customized"
    customized.mkdir()
    (customized / "sitecustomize.py").write_text(SLOW_UNLINKS)
    path = offload_engine._ENVIRONMENT["PYTHONPATH"]
    monkeypatch.setitem(offload_engine._ENVIRONMENT, "PYTHONPATH", f"{customized}:{path}")


def directories(media_path: Path) -> list[str]:
    """Return all directories below the top level."""
    return sorted(
        str(path.relative_to(media_path)) for path in media_path.glob("*/**/") if path.parent != media_path != path
    )


def make_empty_directories(library: Library, count: int) -> list[str]:
    made = []
    for number in range(count):
        path = library.media_path / f"local_thumbnails/{number // 60:02}/{number % 60:02}/empty"
        path.mkdir(parents=True)
        made.append(path)
    for path in made:
        for directory in (path, path.parent, path.parent.parent):
            library.own(directory)
            os.utime(directory, LONG_AGO)
    return directories(library.media_path)


def assert_all_unlinks_are_reported(inventory: MediaInventory, outcome: Outcome) -> None:
    inventory.assert_nothing_lost()
    gone = len(inventory.known) - len(inventory.on_disk())
    assert outcome.files("deleted") == gone
    assert outcome.report["changed"] is (gone > 0 or outcome.files("uploaded") > 0)


def in_the_bucket(engine: Engine, library: Library, inventory: MediaInventory, count: int) -> None:
    """This many files that are in the bucket already, so that the next run only has to prove them."""
    library.add([2000] * count, thumbnails=0)
    inventory.record_files()
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    engine.offload["delete_local"] = True


@pytest.mark.usefixtures("slow_unlinks")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_while_files_are_unlinked(
    library: Library, engine: Engine, inventory: MediaInventory, number: signal.Signals
) -> None:
    in_the_bucket(engine, library, inventory, 400)
    process = engine.start()
    until = time.monotonic() + 60
    while len(inventory.on_disk()) == 400 and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    outcome = finish(process)
    assert outcome.status == 128 + number, outcome.errors
    assert 0 < len(inventory.on_disk()) < 400
    assert_all_unlinks_are_reported(inventory, outcome)
    assert engine.run().status == 0
    inventory.assert_all_moved()


@pytest.mark.usefixtures("slow_unlinks")
def test_a_refusal_while_files_are_unlinked(
    library: Library, engine: Engine, inventory: MediaInventory, wire: WireProxy
) -> None:
    """The files of one window are unlinked while the uploads of the next are refused."""
    in_the_bucket(engine, library, inventory, 1100)
    library.add([2000] * 100, thumbnails=0)
    inventory.record_files()
    wire.add(PUT, refuse(403, "InvalidAccessKeyId"))
    outcome = engine.run()
    assert outcome.status in (1, 2), outcome.errors
    assert_all_unlinks_are_reported(inventory, outcome)
    if outcome.files("deleted"):
        assert outcome.status == 1, outcome.errors


def test_all_hard_links_of_a_file_are_moved_in_one_run(
    library: Library, engine: Engine, inventory: MediaInventory
) -> None:
    for item in library.add([3000] * 60, thumbnails=0, with_sha256=False):
        original = library.media_path / item.original
        for number in range(3):
            media_id = f"{number}{number}{item.media_id}"
            other = library.media_path / f"local_content/{media_id[:2]}/{media_id[2:4]}/{media_id[4:]}"
            other.parent.mkdir(parents=True, exist_ok=True)
            library.own(other.parent, other.parent.parent)
            os.link(original, other)
            library.add_row(media_id, 3000)
    inventory.record_files()
    assert len(inventory.known) == 240
    outcome = engine.run()
    assert (outcome.status, outcome.report["skipped"], outcome.files("deleted")) == (0, {}, 240), outcome.errors
    inventory.assert_all_moved()


def test_a_directory_that_was_changed_lately_stays(library: Library, engine: Engine, inventory: MediaInventory) -> None:
    old, young = library.add([1000] * 2, thumbnails=0)
    inventory.record_files()
    directory = (library.media_path / young.original).parent
    os.utime(directory)
    assert engine.run().status == 0
    inventory.assert_all_moved()
    assert not (library.media_path / old.original).parent.exists()
    assert directory.is_dir()
    # Once it is old, a later run removes it.
    for path in (directory, directory.parent):
        os.utime(path, LONG_AGO)
    assert engine.run().status == 0
    assert directories(library.media_path) == []


def test_empty_directories_of_earlier_runs_are_removed(
    library: Library, engine: Engine, inventory: MediaInventory
) -> None:
    library.add([1000] * 2)
    inventory.record_files()
    made = make_empty_directories(library, 300)
    assert engine.run("--dry-run").status == 0
    assert set(made) <= set(directories(library.media_path))
    engine.offload["delete_local"] = False
    assert engine.run().status == 0
    assert set(made) <= set(directories(library.media_path))
    engine.offload["delete_local"] = True
    outcome = engine.run()
    assert outcome.status == 0, outcome.errors
    assert directories(library.media_path) == []
    inventory.assert_all_moved()
    assert sorted(path.name for path in library.media_path.iterdir() if path.is_dir()) == [
        "local_content",
        "local_thumbnails",
        "remote_content",
        "remote_thumbnail",
    ]


def test_killed_while_files_and_directories_are_removed(
    library: Library, engine: Engine, inventory: MediaInventory, slow_unlinks: None
) -> None:
    in_the_bucket(engine, library, inventory, 60)
    process = engine.start()
    until = time.monotonic() + 60
    while len(inventory.on_disk()) > 40 and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert 0 < len(inventory.on_disk()) < 60
    inventory.assert_nothing_lost()
    for directory in directories(library.media_path):
        os.utime(library.media_path / directory, LONG_AGO)
    assert engine.run().status == 0
    inventory.assert_all_moved()
    assert directories(library.media_path) == []
