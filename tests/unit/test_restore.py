# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a restore puts on the disk, and what it does not, with a scripted store."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk import placement
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.errors import ConfigurationError
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.restore import engine, transfer
from audit_state import DAY
from restore_host import Host, media, restore_host
from scripted_store import Request, answer, cut_after, error

# A run leaves the signals of its process held or ignored, because it is about to end.
pytestmark = pytest.mark.usefixtures("signal_handlers")

LARGE = 300_000


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with restore_host(tmp_path) as host:
        yield host


def failures(report: Any) -> dict[str, str]:
    return {failure.path: failure.error for failure in report.failed}


def no_temporaries(host: Host) -> bool:
    return not [path for path in host.files() if placement.TEMPORARY_PREFIX in path]


class TestWhatComesBack:
    def test_everything_with_a_row_byte_by_byte_and_once(self, host: Host) -> None:
        generator = random.Random(1)
        for number in range(60):
            origin = ("", "example.org", "a.b:8448")[number % 3]
            size = generator.choice((1, 0, 19_000, LARGE, transfer.SMALL, transfer.SMALL + 1))
            host.put(media(number, origin), generator.randbytes(size), generator.randbytes(100))
        host.contents.objects["local_content/No/Ro/w"] = b"x"
        report, status = host.attempt()
        assert (status, failures(report)) == (0, {}), report.error
        expected = {key: value for key, value in host.contents.objects.items() if key != "local_content/No/Ro/w"}
        assert host.files() == expected
        assert report.restored.files == report.missing.files == len(expected)
        assert report.by_length.files == 0
        assert report.skipped["no_row"].files == 1
        assert sorted(path.name for path in host.state_dir.iterdir()) == ["lock"]

        host.contents.server.requests.clear()
        again, status = host.attempt()
        assert (status, again.changed, again.present.files) == (0, False, len(expected))
        assert host.contents.count("GET") == 0

    def test_a_dry_run_writes_nothing_and_says_the_same(self, host: Host) -> None:
        host.put(media(1), b"abc", b"thumbnail")
        before = host.files()
        report = host.restore(rehearse=True)
        assert (report.restored.files, report.restored.bytes, report.changed) == (2, 12, True)
        assert host.files() == before
        assert host.contents.count("GET") == 0
        assert list(host.state_dir.iterdir()) == []

    def test_modes_follow_the_directory_above(self, host: Host) -> None:
        (host.root / "local_content").chmod(0o2750)
        (path,) = host.put(media(1), b"abc")
        before = os.umask(0o077)
        try:
            host.restore()
        finally:
            os.umask(before)
        file = host.root / path
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o2750
        assert file.stat().st_uid == os.geteuid()
        assert file.stat().st_nlink == 1

    def test_a_missing_first_level_is_made(self, host: Host) -> None:
        (host.root / "remote_content").rmdir()
        (path,) = host.put(media(1, "example.org"), b"abc")
        assert host.restore().restored.files == 1
        assert host.files() == {path: b"abc"}

    def test_a_large_object_is_read_in_ranges_of_one_version(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(transfer, "_PART", 100_000)
        (path,) = host.put(media(1), random.Random(2).randbytes(LARGE + 5))
        host.restore()
        assert host.files()[path] == host.contents.objects[path]
        ranged = [request for request in host.contents.server.requests if "range" in request.headers]
        assert len(ranged) == 4
        assert {request.headers["if-match"] for request in ranged} == {f'"{host.contents.etag(path)}"'}

    @pytest.mark.parametrize(
        ("chosen", "expected"),
        [
            ({"kind": "local"}, {"l1", "l1t", "l2"}),
            ({"kind": "remote"}, {"r1", "r1t", "r2"}),
            ({"origins": ["example.org"]}, {"r1", "r1t"}),
            ({"originals_only": True}, {"l1", "l2", "r1", "r2"}),
            ({"newer_than": "7d"}, {"l1", "l1t", "r1", "r1t"}),
            ({"users": ["@bob:b"]}, {"l2"}),
            ({"users": ["@nobody:b"]}, set()),
            ({"media_ids": ["mxc://example.org/the-key"]}, {"r1", "r1t"}),
            ({"media_ids": ["mxc://b/AbCd00000001", "AbCd00000002"]}, {"l1", "l1t", "l2"}),
            ({"media_ids": ["AbCd00000001"], "originals_only": True}, {"l1"}),
        ],
    )
    @pytest.mark.parametrize("most_asked", [1000, 0])
    def test_what_is_chosen(
        self, host: Host, chosen: dict[str, Any], expected: set[str], most_asked: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(f"{engine.__package__}.named_media.MOST_ASKED", most_asked)
        now = int(time.time())
        names = dict(zip(host.put(media(1, used=now), b"l1", b"l1t"), ("l1", "l1t")))
        names |= dict(zip(host.put(media(2, used=now - 9 * DAY), b"l2", user="@bob:b"), ("l2",)))
        names |= dict(zip(host.put(media(3, "example.org", used=now, key="the-key"), b"r1", b"r1t"), ("r1", "r1t")))
        names |= dict(zip(host.put(media(4, "b.example.org", used=now - 9 * DAY), b"r2"), ("r2",)))
        report, status = host.attempt(**chosen)
        assert (status, failures(report)) == (0, {}), report.error
        assert {names[path] for path in host.files()} == expected

    def test_few_ids_cost_no_listing_of_the_bucket(self, host: Host) -> None:
        host.contents.page = 10
        for number in range(200):
            host.put(media(number), b"abc", b"d")
        report = host.restore(media_ids=["AbCd00000100"])
        assert report.restored.files == 2
        assert (host.contents.count("LIST"), host.contents.count("HEAD"), host.contents.count("GET")) == (1, 1, 2)

    def test_without_rows_brings_all_of_the_layout_and_nothing_else(self, host: Host) -> None:
        host.put(media(1), b"abc")
        orphan = "remote_thumbnail/example.org/Ab/Cd/efgh/32-32-image-png-crop"
        host.contents.objects.update(
            {orphan: b"o", "other/x": b"o", f"local_content/Ab/Cd/{placement.TEMPORARY_PREFIX}1": b"o"}
        )
        report = host.restore(without_rows=True)
        assert set(host.files()) == {media(1).path, orphan}
        assert report.skipped["foreign"].files == 2

    def test_a_prefix_is_taken_off(self, host: Host) -> None:
        (path,) = host.put(media(1), b"abc")
        host.contents.objects = {f"synapse/{path}": b"abc", path: b"another"}
        assert host.restore(prefix="synapse/").restored.files == 1
        assert host.files() == {path: b"abc"}


class TestWhatDoesNot:
    def test_what_is_there_and_different_stays_and_fails(self, host: Host) -> None:
        (path,) = host.put(media(1), b"abc")
        (other,) = host.put(media(2), b"defg")
        host.write(path, b"longer than the object")
        report, status = host.attempt()
        assert status == 1
        assert "22 bytes, its object 3" in failures(report)[path]
        assert host.files() == {path: b"longer than the object", other: b"defg"}

    def test_the_same_length_and_another_content_is_found_by_verify(self, host: Host) -> None:
        (path,) = host.put(media(1), b"abc", sha256="", length=3)
        (proven,) = host.put(media(2), b"defg")
        (fine,) = host.put(media(3), b"hijk")
        for each, content in ((path, b"xyz"), (proven, b"wxyz"), (fine, b"hijk")):
            host.write(each, content)
        assert host.attempt()[1] == 0
        report, status = host.attempt(verify=True)
        assert status == 1
        assert "another content" in failures(report)[path]
        assert "not the one that Synapse took" in failures(report)[proven]
        assert report.present.files == 1
        assert host.files() == {path: b"xyz", proven: b"wxyz", fine: b"hijk"}

    def test_an_object_that_contradicts_its_row_is_not_put_in_place(self, host: Host) -> None:
        (length,) = host.put(media(1), b"abc", length=4)
        (digest,) = host.put(media(2), b"abc", sha256="00" * 32)
        (large,) = host.put(media(3), b"x" * LARGE, sha256="00" * 32)
        report, status = host.attempt()
        assert (status, host.files()) == (1, {})
        assert "its row in Synapse's database says 4" in failures(report)[length]
        assert "SHA-256" in failures(report)[digest] and "SHA-256" in failures(report)[large]

    @pytest.mark.parametrize("size", [1000, LARGE])
    def test_a_thumbnail_that_is_not_what_the_etag_says_is_not_put_in_place(self, host: Host, size: int) -> None:
        path = host.put(media(1), b"abc", b"x" * size)[1]
        host.contents.etags[path] = "0" * 32
        report, status = host.attempt()
        assert (status, list(host.files())) == (1, [media(1).path])
        assert "MD5" in failures(report)[path]

    def test_an_etag_that_is_no_digest_leaves_the_length(self, host: Host) -> None:
        path = host.put(media(1), b"abc", b"thumbnail")[1]
        host.contents.etags[path] = "opaque"
        report, status = host.attempt()
        assert (status, report.by_length.files, host.files()[path]) == (0, 1, b"thumbnail")

    def test_what_is_archived_is_named(self, host: Host) -> None:
        small, large = host.put(media(1), b"abc")[0], host.put(media(2), b"x" * LARGE)[0]
        host.contents.classes = {small: "GLACIER", large: "DEEP_ARCHIVE"}
        report, status = host.attempt()
        assert (status, host.files()) == (1, {})
        assert all("thaw" in text for text in failures(report).values())

    def test_an_id_without_a_row_and_one_without_bytes_are_named(self, host: Host) -> None:
        host.row(media(1), b"abc")
        report, status = host.attempt(media_ids=["mxc://example.org/none", "AbCd00000001"])
        assert status == 1
        assert set(failures(report)) == {"mxc://example.org/none", media(1).path}

    @pytest.mark.parametrize(
        "key",
        [
            "local_content/../../outside",
            "local_content/../local_content/a",
            "../local_content/Ab/Cd/x",
            "/local_content/Ab/Cd/x",
            "local_content//Ab/x",
            "local_content/Ab//x",
            "local_content/Ab/Cd/",
            "local_content/Ab/Cd/x\0y",
            "local_content/./Cd/x",
            "local_content/Ab/../x",
            "remote_content/../Ab/Cd/x",
            "local_thumbnails/Ab/Cd/x/../32",
        ],
    )
    def test_no_key_leads_outside(self, host: Host, key: str) -> None:
        host.put(media(1), b"abc")
        host.contents.objects[key] = b"evil"
        before = sorted(host.root.parent.iterdir())
        report = host.restore(without_rows=True)
        assert host.files() == {media(1).path: b"abc"}, report.failed
        assert sorted(host.root.parent.iterdir()) == before

    def test_a_row_of_an_evil_name_leads_nowhere(self, host: Host) -> None:
        host.put(media(1)._replace(origin="..", media_id="....x"), b"abc")
        assert host.restore().restored.files == 0
        report, dummy = host.attempt(media_ids=["..", "....x"])
        assert report.restored.files == 0
        assert host.files() == {}

    def test_a_link_on_the_path_is_not_followed(self, host: Host, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (host.root / "local_content" / "Ab").symlink_to(outside)
        (path,) = host.put(media(1), b"abc")
        remote = host.put(media(2, "example.org"), b"abc")[0]
        target = host.write(remote, b"")
        target.unlink()
        target.symlink_to(outside / "file")
        report, status = host.attempt()
        assert status == 1
        assert set(failures(report)) == {path, remote}
        assert list(outside.iterdir()) == []

    def test_a_file_that_appears_meanwhile_is_not_replaced(self, host: Host) -> None:
        paths = [host.put(media(number), b"abc")[0] for number in range(2)]

        def before(request: Request) -> None:
            if request.method == "GET" and "list-type" not in request.target:
                for path, content in zip(paths, (b"xyz", b"other length")):
                    host.write(path, content)

        host.contents.before = before
        report, status = host.attempt()
        assert status == 1
        assert set(failures(report)) == {paths[1]}
        assert host.files() == {paths[0]: b"xyz", paths[1]: b"other length"}


class TestTheStoreMisbehaves:
    @pytest.mark.parametrize("size", [2000, LARGE])
    @pytest.mark.parametrize("kind", ["cut", "short", "corrupt", "missing", "busy", "no_range", "replaced"])
    def test_nothing_wrong_gets_a_name(self, host: Host, size: int, kind: str) -> None:
        good = random.Random(3).randbytes(size)
        (path,) = host.put(media(1), good)
        calls = 0

        def before(request: Request) -> Any:
            nonlocal calls
            if request.method != "GET" or "list-type" in request.target:
                return None
            calls += 1
            etag = f'ETag: "{host.contents.etag(path)}"'
            status = 206 if "range" in request.headers else 200
            if kind == "cut" and calls == 1:
                return cut_after(answer(status, good, etag)[: -size // 2])
            if kind == "short":
                return answer(status, good[:-1], etag)
            if kind == "corrupt":
                return answer(status, b"?" + good[1:], etag)
            if kind == "missing":
                return answer(404, b"")
            if kind == "busy" and calls < 3:
                return error(503, "SlowDown")
            if kind == "no_range":
                return answer(200, good + b"more", etag)
            if kind == "replaced":
                return answer(status, good + b"more", 'ETag: "other"')
            return None

        host.contents.before = before
        report, status = host.attempt()
        if kind in ("cut", "busy"):
            assert (status, host.files()) == (0, {path: good}), report.failed
        else:
            assert (status, host.files()) == (1, {}), report.error
            assert list(failures(report)) == [path], report.error
        assert host.attempt(rehearse=True)[0].missing.files == (0 if kind in ("cut", "busy") else 1)

    def test_a_listing_that_fails_refuses_with_nothing_done(self, host: Host) -> None:
        host.put(media(1), b"abc")
        host.contents.before = lambda request: error(403, "AccessDenied")
        report, status = host.attempt()
        assert (status, host.files()) == (2, {})
        assert "s3:ListBucket" in str(report.error)


class TestTheDisk:
    def test_too_little_space_is_refused_with_the_numbers(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        host.put(media(1), b"x" * 10_000)
        found = os.statvfs(host.root)
        small = os.statvfs_result((*found[:4], 3, *found[5:]))
        monkeypatch.setattr(os, "statvfs", lambda path: small)
        report, status = host.attempt()
        assert (status, host.files()) == (2, {})
        assert "12.0 KiB free, and 1 files take 16.0 KiB" in str(report.error)
        assert host.contents.count("GET") == 0

    @pytest.mark.parametrize("size", [1000, LARGE])
    def test_a_disk_that_fills_up_ends_the_run_cleanly(
        self, host: Host, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(20):
            host.put(media(number), b"x" * size)
        real, written = os.pwrite, [0]

        def pwrite(descriptor: int, data: bytes, offset: int) -> int:
            written[0] += len(data)
            if written[0] > 6 * size:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(descriptor, data, offset)

        monkeypatch.setattr(os, "pwrite", pwrite)
        report, status = host.attempt()
        assert status == 1
        assert "is full" in str(report.error)
        assert no_temporaries(host)
        assert all(content == b"x" * size for content in host.files().values())
        assert len(host.files()) == report.restored.files
        monkeypatch.setattr(os, "pwrite", real)
        assert host.attempt()[1] == 0
        assert len(host.files()) == 20

    def test_without_hard_links_a_name_is_not_taken_over_either(
        self, host: Host, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def link(*dummy: Any, **names: Any) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", link)
        paths = [host.put(media(number), b"abc")[0] for number in range(2)]

        def before(request: Request) -> None:
            if request.method == "GET" and "list-type" not in request.target:
                host.write(paths[0], b"other length")

        host.contents.before = before
        report = host.restore()
        assert set(failures(report)) == {paths[0]}
        assert host.files() == {paths[0]: b"other length", paths[1]: b"abc"}

    def test_a_killed_run_leaves_temporary_files_that_the_next_one_removes(self, host: Host) -> None:
        (path,) = host.put(media(1), b"abc")
        stale = host.write(f"local_content/Zz/Zz/{placement.TEMPORARY_PREFIX}1-1", b"half")
        report = host.restore()
        assert (report.removed_temporaries, stale.exists()) == (0, True)
        (host.state_dir / engine.MARK_NAME).touch()
        report = host.restore()
        assert (report.removed_temporaries, stale.exists()) == (1, False)
        assert host.files() == {path: b"abc"}
        assert not (host.state_dir / engine.MARK_NAME).exists()

    def test_another_run_keeps_this_one_away(self, host: Host) -> None:
        host.put(media(1), b"abc")
        for locked in (host.root, host.state_dir / "lock"):
            descriptor = os.open(locked, os.O_RDONLY | (0 if locked.is_dir() else os.O_CREAT), 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                report, status = host.attempt()
            finally:
                os.close(descriptor)
            assert (status, host.files()) == (3, {})
            assert "Another run" in str(report.error)

    def test_each_file_is_synced_before_it_has_its_name(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(5):
            host.put(media(number), b"x" * (LARGE if number == 4 else 10))
        events: list[tuple[str, Any]] = []
        fsync, link = os.fsync, os.link

        def noting_fsync(descriptor: int) -> None:
            status = os.fstat(descriptor)
            events.append(("dir" if stat.S_ISDIR(status.st_mode) else "sync", status.st_ino))
            fsync(descriptor)

        def noting_link(source: bytes, name: bytes, **places: Any) -> None:
            status = os.stat(source, dir_fd=places["src_dir_fd"])
            events.append(("name", (status.st_ino, os.fstat(places["src_dir_fd"]).st_ino)))
            link(source, name, **places)

        monkeypatch.setattr(os, "fsync", noting_fsync)
        monkeypatch.setattr(os, "link", noting_link)
        assert host.restore().restored.files == 5
        for position, (kind, value) in enumerate(events):
            if kind == "name":
                inode, directory = value
                assert ("sync", inode) in events[:position]
                assert ("dir", directory) in events[position:]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"kind": "local", "origins": ["a"]}, "origin"),
        ({"users": ["alice"]}, "@name:server"),
        ({"users": ["@a:b"], "kind": "remote"}, "Only local media"),
        ({"media_ids": ["mxc://only-server"]}, "mxc://server/id"),
        ({"media_ids": ["a"], "kind": "local"}, "which media"),
        ({"without_rows": True, "newer_than": "1d"}, "without rows"),
        ({"newer_than": "soon"}, "newer_than"),
    ],
)
def test_a_selection_that_contradicts_itself_is_refused(host: Host, chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        host.attempt(**chosen)
