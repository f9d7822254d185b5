# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a garbage collection takes out of the bucket, and what it does not, with a scripted store."""

from __future__ import annotations

import fcntl
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect import collector
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.collect.settings import (
    CollectSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import TRASH_FOLDER
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from collect_host import HEEDS, IGNORES, REFUSES, CollectHost, collect_host, days
from restore_host import media
from scripted_store import Request, error

# A run leaves the signals of its process held or ignored, because it is about to end.
pytestmark = pytest.mark.usefixtures("signal_handlers")

ORPHAN = media(1)


@pytest.fixture(params=["", "media of mine/"])
def host(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[CollectHost]:
    with collect_host(tmp_path, prefix=request.param) as host:
        yield host


def failures(report: Any) -> dict[str, str]:
    return {failure.path: failure.error for failure in report.failed}


def skipped(report: Any) -> dict[str, int]:
    return {reason: tally.files for reason, tally in report.skipped.items()}


def writes(host: CollectHost) -> list[Request]:
    return [request for request in host.contents.server.requests if request.method not in ("GET", "HEAD")]


class TestWhatIsCollected:
    def test_only_what_has_no_row_is_old_and_was_seen_so_before(self, host: CollectHost) -> None:
        orphans = host.put_media(ORPHAN, b"abc", b"a thumbnail", row=False)
        orphans += host.put_media(media(2, "example.org"), b"remote", b"another", row=False)
        host.put_media(media(3), b"new", row=False, age_days=-20)
        before = host.objects()

        first, status = host.collect(confirm=True)
        assert (status, first.changed, first.due.files) == (0, False, 0), first.error
        assert skipped(first) == {"seen_lately": 4, "young": 1}
        assert host.objects() == before and writes(host) == []

        host.pass_time(31)
        report, status = host.collect(confirm=True)
        assert (status, failures(report)) == (0, {}), report.error
        assert (report.trashed.files, report.orphans.files, skipped(report)) == (4, 5, {"young": 1})
        assert report.conditional_deletes is True
        assert sorted(host.trash()) == sorted(orphans)
        assert {**host.objects(), **host.trash()} == before

        again, status = host.collect(confirm=True)
        assert (status, again.changed, again.trash.files) == (0, False, 4)

    def test_a_thumbnail_whose_media_has_a_row_is_none(self, host: CollectHost) -> None:
        host.put_media(media(5), b"abc", b"a thumbnail that no table names", b"and another")
        host.put_media(media(6, "example.org"), b"abc", b"a thumbnail")
        report, dummy = host.collect_after_sighting()
        assert (report.orphans.files, report.changed) == (0, False)

    def test_what_is_not_of_the_layout_stays(self, host: CollectHost) -> None:
        others = [
            "url_cache/2026-01-31/abc",
            "url_cache_thumbnails/2026-01-31/abc/32",
            "local_content/a",
            "local_content/aa/bb/c/d",
            "local_content/aa/bb/.synapse-s3-restore-1",
            "notes.txt",
            f"{TRASH_FOLDER}notes.txt",
            f"{TRASH_FOLDER}20200131T120000Z-00000000/notes.txt",
            f"{TRASH_FOLDER}20209931T120000Z-00000000/local_content/aa/bb/c",
        ]
        for path in others:
            host.contents.put(host.prefix + path, b"x", 0)
        report, dummy = host.collect_after_sighting()
        assert (report.orphans.files, report.trash.files, report.changed) == (0, 0, False)
        assert {host.prefix + path for path in others} <= set(host.contents.objects)

    def test_the_clock_starts_anew_for_an_object_that_was_replaced(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        host.collect()
        host.contents.put(host.prefix + path, b"xyz", host.now - 90 * 86_400)
        host.pass_time(31)
        report, dummy = host.collect(confirm=True)
        assert skipped(report) == {"seen_lately": 1}

    def test_the_clock_starts_anew_after_a_row_came_and_went(self, host: CollectHost) -> None:
        host.put_media(ORPHAN, b"abc", row=False)
        host.collect()
        host.row(ORPHAN, b"abc")
        host.collect()
        host.delete_row(ORPHAN)
        host.pass_time(31)
        assert skipped(host.collect(confirm=True)[0]) == {"seen_lately": 1}

    def test_without_confirmation_it_records_and_changes_nothing(self, host: CollectHost) -> None:
        host.put_media(ORPHAN, b"abc", row=False)
        host.collect()
        host.pass_time(31)
        report, status = host.collect()
        assert (status, report.changed, report.due.files, report.sightings_recorded) == (0, False, 1, True)
        assert writes(host) == [] and "with --confirm" in report.summary()

    def test_a_dry_run_writes_nothing_at_all_and_says_the_same(self, host: CollectHost) -> None:
        host.put_media(ORPHAN, b"abc", row=False)
        host.collect(rehearse=True)
        assert list(host.state_dir.iterdir()) == []
        host.collect()
        host.pass_time(31)
        state = {path: path.read_bytes() for path in host.state_dir.rglob("*") if path.is_file()}
        report, status = host.collect(rehearse=True, confirm=True)
        assert (status, report.changed, report.trashed.files, report.sightings_recorded) == (0, True, 1, False)
        assert f"{ORPHAN.path}: in the trash" in report.diff()["after"]
        assert writes(host) == []
        assert {path: path.read_bytes() for path in host.state_dir.rglob("*") if path.is_file()} == state
        assert host.collect(confirm=True)[0].trashed.as_dict() == report.trashed.as_dict()

    def test_many_batches(self, host: CollectHost, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(collector, "BATCH", 3)
        host.contents.page = 7
        for number in range(20):
            host.put_media(media(number), b"%d" % number, row=False)
        before = host.objects()
        report, status = host.collect_after_sighting(max_percent=50)
        assert (status, report.trashed.files) == (0, 20), report.error
        assert {**host.objects(), **host.trash()} == before

    def test_the_log_names_each_before_it_is_moved(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        logged: list[str] = []

        def before(request: Request) -> None:
            if "x-amz-copy-source" in request.headers:
                logged.extend(file.read_text() for file in (host.state_dir / "gc").glob("log-*"))

        host.contents.before = before
        report, dummy = host.collect_after_sighting()
        assert path in logged[0]
        (line,) = host.log(report)
        assert line["key"] == host.prefix + path and line["trash_key"] in host.contents.objects
        assert (line["size"], line["etag"], line["reason"]) == (
            3,
            host.contents.etag(line["trash_key"]),
            "its media has no row",
        )
        assert stat.S_IMODE(Path(str(report.log)).stat().st_mode) == 0o600
        assert stat.S_IMODE((host.state_dir / "gc").stat().st_mode) == 0o700

    def test_without_trash_it_is_deleted(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        report, status = host.collect_after_sighting(trash=False)
        assert (status, report.deleted.files, report.trashed.files) == (0, 1, 0), report.error
        assert path not in host.objects() and host.trash() == {}
        undone, status = host.collect(undo=report.log)
        assert status == 1 and "deleted without a copy" in failures(undone)[path]


class TestWhatChangesMeanwhile:
    @pytest.mark.parametrize("when", ["look", "copy"])
    def test_a_row_that_comes_back_keeps_the_object(self, host: CollectHost, when: str) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        host.collect()
        host.pass_time(31)

        def before(request: Request) -> None:
            starts = "x-amz-copy-source" in request.headers if when == "copy" else request.target.endswith("trial")
            if starts:
                host.contents.before = lambda request: None
                host.row(ORPHAN, b"abc")

        host.contents.before = before
        report, status = host.collect(confirm=True)
        assert (status, report.trashed.files, skipped(report)) == (0, 0, {"row_again": 1})
        assert host.objects()[path] == b"abc"

    @pytest.mark.parametrize("condition", [HEEDS, IGNORES, REFUSES])
    @pytest.mark.parametrize("after", ["copy", "look at the copy"])
    def test_an_object_that_is_replaced_stays(self, host: CollectHost, condition: str, after: str) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        host.contents.condition = condition
        host.collect()
        host.pass_time(31)

        def before(request: Request) -> None:
            of_copy = "x-amz-copy-source" in request.headers
            of_look = request.method == "HEAD" and "Z-" in request.target
            if of_copy if after == "copy" else of_look:
                host.contents.before = lambda request: None
                host.contents.put(host.prefix + path, b"xyz")

        host.contents.before = before
        report, status = host.collect(confirm=True)
        assert (status, report.trashed.files, skipped(report)) == (0, 0, {"changed": 1}), report.error
        assert host.objects()[path] == b"xyz"
        assert report.conditional_deletes is (condition == HEEDS)

    @pytest.mark.parametrize("condition", [IGNORES, REFUSES])
    def test_a_store_that_does_not_know_the_condition_is_asked_before(self, host: CollectHost, condition: str) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        host.contents.condition = condition
        report, status = host.collect_after_sighting()
        assert (status, report.trashed.files, report.conditional_deletes) == (0, 1, False), report.error
        assert "not conditional" in report.summary()
        of_object = [request for request in host.contents.server.requests if request.target.endswith(path[-8:])]
        assert [request.method for request in of_object if "Z-" not in request.target] == ["HEAD", "HEAD", "DELETE"]

    def test_a_store_that_says_it_copied_and_did_not_deletes_nothing(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        host.contents.copies = False
        report, status = host.collect_after_sighting()
        assert status == 1 and "is not there" in failures(report)[path]
        assert host.objects()[path] == b"abc"

    def test_a_copy_of_other_content_deletes_nothing(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)

        def before(request: Request) -> None:
            if request.method == "HEAD" and "Z-" in request.target:
                for key in host.contents.objects:
                    if "Z-" in key:
                        host.contents.objects[key] = b"xyz"

        host.contents.before = before
        report, status = host.collect_after_sighting()
        assert status == 1 and "has the ETag" in failures(report)[path]
        assert host.objects()[path] == b"abc"

    def test_keys_that_may_not_delete_are_refused_before_anything(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        host.contents.before = lambda request: error(403, "AccessDenied") if request.method == "DELETE" else None
        report, status = host.collect_after_sighting()
        assert status == 2 and "s3:DeleteObject" in str(report.error)
        assert host.objects()[path] == b"abc" and list(host.trash()) == [""]

    def test_an_object_that_cannot_be_deleted_keeps_its_copy(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        host.contents.before = lambda request: (
            error(403, "AccessDenied") if request.method == "DELETE" and path[-8:] in request.target else None
        )
        report, status = host.collect_after_sighting()
        assert status == 1 and "stays in the trash" in failures(report)[path]
        assert host.objects()[path] == host.trash()[path] == b"abc"


class TestRefusals:
    def test_too_many_without_a_row(self, host: CollectHost) -> None:
        for number in range(10):
            host.put_media(media(number), b"abc", row=False)
        report, status = host.collect(confirm=True)
        assert status == 2 and "max_percent is 10" in str(report.error)
        assert not (host.state_dir / "gc" / "sightings").exists()
        assert host.collect(max_percent=20)[1] == 0

    def test_an_empty_database(self, host: CollectHost) -> None:
        for number in range(900_000, 900_060):
            host.delete_row(media(number))
        report, status = host.collect(max_percent=100)
        assert status == 2 and "knows of no media" in str(report.error)

    def test_another_server(self, host: CollectHost) -> None:
        report, status = host.collect(server_name="example.org")
        assert status == 2 and "uploaded by @a:b" in str(report.error)
        report, status = host.collect(server_name=None)
        assert status == 0 and "was not compared" in report.warnings[0]

    def test_a_database_that_cannot_be_read(self, host: CollectHost) -> None:
        host.database.write_bytes(b"no database" * 100)
        report, status = host.collect(confirm=True)
        assert status == 2 and "cannot be read" in str(report.error)

    def test_another_run(self, host: CollectHost) -> None:
        with (host.state_dir / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert host.collect()[1] == 3

    def test_a_listing_that_fails_half_way(self, host: CollectHost) -> None:
        host.contents.page = 10
        host.put_media(ORPHAN, b"abc", row=False)
        host.collect()
        host.pass_time(31)
        host.contents.before = lambda request: error(403, "AccessDenied") if "start-after" in request.target else None
        report, status = host.collect(confirm=True)
        assert status == 2 and not report.changed
        host.contents.before = lambda request: None
        assert host.collect(confirm=True)[0].trashed.files == 1

    def test_a_record_that_is_damaged_starts_the_clock_anew(self, host: CollectHost) -> None:
        host.put_media(ORPHAN, b"abc", row=False)
        host.collect()
        record = host.state_dir / "gc" / "sightings"
        record.write_text(record.read_text()[:-4])
        host.pass_time(31)
        assert skipped(host.collect(confirm=True)[0]) == {"seen_lately": 1}

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"min_age": "1h"}, "shorter than a day"),
            ({"min_age": "x"}, "no duration"),
            ({"max_percent": 101}, "from 0 to 100"),
            ({"undo": "x", "confirm": True}, "Leave out one"),
        ],
    )
    def test_settings(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(ConfigurationError, match=said):
            CollectSettings.from_mapping(options, "/state", 1)


class TestTrash:
    def test_it_is_emptied_after_its_time(self, host: CollectHost) -> None:
        host.put_media(ORPHAN, b"abc", row=False)
        host.collect_after_sighting()
        host.pass_time(29)
        assert host.collect(confirm=True)[0].purged.files == 0
        host.pass_time(2)
        assert host.collect()[0].trash_due.files == 1
        report, status = host.collect(confirm=True)
        assert (status, report.purged.files) == (0, 1), report.error
        assert host.trash() == {}
        assert [line["action"] for line in host.log(report)] == ["purge"]

    def test_a_store_that_keeps_the_time_of_the_original_empties_it_no_earlier(self, host: CollectHost) -> None:
        host.put_media(ORPHAN, b"abc", row=False)
        host.collect_after_sighting()
        for key in host.contents.objects:
            host.contents.modified[key] = 0
        assert host.collect(confirm=True)[0].purged.files == 0

    def test_what_has_a_row_again_is_kept_and_named(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        collected, dummy = host.collect_after_sighting()
        host.row(ORPHAN, b"abc")
        host.pass_time(31)
        report, status = host.collect(confirm=True)
        assert (status, report.purged.files, report.kept_in_trash_count) == (0, 0, 1)
        assert "its media has a row again" in report.remarks()[0]
        assert host.trash()[path] == b"abc"
        host.collect(undo=collected.log)
        assert host.objects()[path] == b"abc"
        # An equal object is in its place, so the copy may go.
        report, status = host.collect(confirm=True)
        assert (report.purged.files, report.kept_in_trash_count) == (1, 0)
        assert host.objects()[path] == b"abc"


class TestUndo:
    def test_it_brings_everything_back_once(self, host: CollectHost) -> None:
        host.put_media(ORPHAN, b"abc", b"a thumbnail", row=False)
        host.put_media(media(2, "example.org"), b"remote", row=False)
        before = host.objects()
        collected, dummy = host.collect_after_sighting()
        assert host.objects() != before
        planned, status = host.collect(undo=collected.log, rehearse=True)
        assert (status, planned.changed, planned.restored.files) == (0, True, 3)
        report, status = host.collect(undo=Path(str(collected.log)).name)
        assert (status, report.restored.files, report.changed) == (0, 3, True), report.error
        assert host.objects() == before
        # The times of all objects begin anew, also where a store keeps those of the originals.
        host.contents.modified.update(dict.fromkeys(host.contents.objects, 0.0))
        assert skipped(host.collect(confirm=True)[0]) == {"seen_lately": 3}
        again, status = host.collect(undo=collected.log)
        assert (status, again.present.files, again.changed) == (0, 3, False)
        assert not [key for key in host.contents.deleted if key.startswith(host.prefix + TRASH_FOLDER + "2")]

    def test_it_replaces_nothing(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        collected, dummy = host.collect_after_sighting()
        host.contents.put(host.prefix + path, b"new")
        host.collect(undo=collected.log)
        assert host.objects()[path] == b"new"

    def test_what_is_gone_from_the_trash_is_named(self, host: CollectHost) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        collected, dummy = host.collect_after_sighting()
        for key in [key for key in host.contents.objects if TRASH_FOLDER in key]:
            del host.contents.objects[key]
        report, status = host.collect(undo=collected.log)
        assert status == 1 and "neither in the bucket nor in the trash" in failures(report)[path]

    def test_a_log_that_is_none_is_refused(self, host: CollectHost, tmp_path: Path) -> None:
        (path,) = host.put_media(ORPHAN, b"abc", row=False)
        collected, dummy = host.collect_after_sighting()
        header, line = Path(str(collected.log)).read_text().splitlines()
        action = json.loads(line)
        other = tmp_path / "log.jsonl"
        for content, said in (
            ("", "no log"),
            ("x", "damaged"),
            (json.dumps({**json.loads(header), "bucket": "other"}), "another location"),
            (f"{header}\n" + json.dumps({**action, "path": "../x"}) + "\n", "writes"),
            (f"{header}\n" + json.dumps({**action, "trash_path": "local_content/aa/bb/c"}) + "\n", "writes"),
            (f"{header}\n[]\n", "writes"),
        ):
            other.write_text(content)
            report, status = host.collect(undo=str(other))
            assert status == 2 and said in str(report.error), content
        assert path not in host.objects()
        assert host.collect(undo=str(tmp_path / "none"))[1] == 2
        # A line that a killed run did not end was never acted on.
        other.write_text(f"{header}\n{line}\n{line[:20]}")
        assert host.collect(undo=str(other))[0].restored.files == 1


def test_trash_keep_of_nothing_is_allowed(host: CollectHost) -> None:
    host.put_media(ORPHAN, b"abc", row=False)
    host.collect_after_sighting()
    host.pass_time(1)
    assert host.collect(confirm=True, trash_keep=days(0))[0].purged.files == 1
