# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is refused before anything is changed, and what must survive: the media store, and everything outside of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from media_host import Files, MediaHost
from s3_server import S3Server

FIRST_LEVEL = ("local_content", "local_thumbnails", "remote_content", "remote_thumbnail")

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of files")


def known_deleted(host: MediaHost) -> int:
    with closing(sqlite3.connect(host.state_dir / "cache.db")) as connection:
        return int(connection.execute("SELECT SUM(known_deleted) FROM media").fetchone()[0])


def insert_row(host: MediaHost, origin: str, media_id: str, filesystem_id: str, kind: str) -> None:
    with closing(sqlite3.connect(host.state_dir / "cache.db")) as connection, connection:  # pylint: disable=confusing-with-statement
        connection.execute("INSERT INTO media VALUES (?, ?, ?, ?, 0)", (origin, media_id, filesystem_id, kind))


def all_but_its_own(host: MediaHost) -> dict[str, tuple[int, int, int, bytes]]:
    """A refused run has taken the lock and written its connection settings, and no more."""
    return {path: facts for path, facts in host.everything().items() if path not in ("state/lock", "state/aws-config")}


def assert_all_refuse(host: MediaHost, s3: S3Server, words: str, media_path: Path) -> None:
    """All commands fail, in check mode and in a real run; no row is marked and no file is changed."""
    everything = all_but_its_own(host)
    for check in (True, False):
        for result in (
            host.run("update-db", check=check, media_path=str(media_path)),
            host.run("check-deleted", check=check, media_path=str(media_path)),
            host.upload(s3, check=check, delete=True, media_path=str(media_path)),
        ):
            assert result["failed"] and words in result["msg"], result
            assert "synapse_s3_media_path" in result["msg"]
    assert all_but_its_own(host) == everything
    assert known_deleted(host) == 0


@pytest.mark.usefixtures("offered")
class TestMediaStore:
    def test_missing(self, sqlite_host: MediaHost, s3: S3Server) -> None:
        missing = sqlite_host.directory / "nowhere"
        result = sqlite_host.run("check-deleted", media_path=str(missing), user=sqlite_host.account.pw_name)
        assert result["failed"] and "does not exist" in result["msg"] and "synapse_s3_media_path" in result["msg"]
        result = sqlite_host.upload(s3, media_path=str(missing))
        assert result["failed"] and "nowhere" in result["msg"]
        assert known_deleted(sqlite_host) == 0

    def test_another_directory(self, sqlite_host: MediaHost, s3: S3Server) -> None:
        """Upstream marks every row as deleted and ends with exit status 0."""
        other = sqlite_host.directory / "other"
        other.mkdir()
        sqlite_host.own(other)
        assert_all_refuse(sqlite_host, s3, "its mark .synapse-s3 is not there", other)

    def test_unmounted_disk_where_synapse_kept_writing(self, sqlite_host: MediaHost, s3: S3Server) -> None:
        mounted = sqlite_host.media_path.rename(sqlite_host.directory / "disk")
        sqlite_host.media_path.mkdir()
        sqlite_host.own(sqlite_host.media_path)
        sqlite_host.put("local_content/Un/de/rTheMountPoint", b"uploaded meanwhile", age_days=0)
        assert_all_refuse(sqlite_host, s3, "Mount the disk it is on", sqlite_host.media_path)
        shutil.rmtree(sqlite_host.media_path)
        mounted.rename(sqlite_host.media_path)
        assert sqlite_host.run("check-deleted")["marked_deleted"] == 0

    def test_media_store_of_another_server(self, sqlite_host: MediaHost, s3: S3Server) -> None:
        other = sqlite_host.directory / "other"
        shutil.copytree(sqlite_host.media_path, other)
        (other / ".synapse-s3").write_text("another id\n")
        sqlite_host.own(other, *other.rglob("*"))
        assert_all_refuse(sqlite_host, s3, "its mark .synapse-s3 differs", other)

    def test_media_store_that_moved_with_its_mark(self, sqlite_host: MediaHost, s3: S3Server) -> None:
        moved = sqlite_host.media_path.rename(sqlite_host.directory / "moved")
        assert sqlite_host.run("check-deleted", media_path=str(moved))["changed"] is False
        assert sqlite_host.upload(s3, media_path=str(moved), delete=True)["files_deleted"] == 4

    def test_path_that_is_a_link_to_the_media_store(self, sqlite_host: MediaHost, s3: S3Server) -> None:
        link = sqlite_host.directory / "link"
        link.symlink_to(sqlite_host.media_path)
        assert sqlite_host.upload(s3, media_path=str(link), delete=True)["files_deleted"] == 4
        assert link.is_symlink()


def test_first_run_on_an_empty_mount_point(sqlite_host: MediaHost) -> None:
    """There is no mark yet, but the rows say that there should be media."""
    sqlite_host.add_local()
    shutil.rmtree(sqlite_host.media_path)
    sqlite_host.media_path.mkdir()
    sqlite_host.own(sqlite_host.media_path)
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    for check in (True, False):
        result = sqlite_host.run("check-deleted", check=check)
        assert result["failed"] and "no media store" in result["msg"] and "1 media are expected" in result["msg"]
    assert known_deleted(sqlite_host) == 0
    # As the message advises where all media is in the bucket already.
    (sqlite_host.media_path / "local_content").mkdir()
    sqlite_host.own(sqlite_host.media_path / "local_content")
    assert sqlite_host.run("check-deleted")["marked_deleted"] == 1


def test_new_server_without_media(sqlite_host: MediaHost, s3: S3Server) -> None:
    shutil.rmtree(sqlite_host.media_path)
    sqlite_host.media_path.mkdir()
    sqlite_host.own(sqlite_host.media_path)
    for command in ("update-db", "check-deleted"):
        assert sqlite_host.run(command)["changed"] is False
    assert sqlite_host.upload(s3, delete=True)["changed"] is False


def test_first_run_on_the_media_store_of_another_server(host: MediaHost) -> None:
    """There are files, but Synapse's database has no rows for them."""
    for number in range(12):
        host.put(f"local_content/Fo/re/ignMediaNumber{number:04d}", b"theirs")
        host.put(f"remote_content/example.org/Fo/re/ignMediaNumber{number:04d}", b"theirs")
    for check in (True, False):
        result = host.run("update-db", check=check)
        assert result["failed"] and "Of 24 media" in result["msg"] and "synapse_s3_database" in result["msg"]
    host.add_remote()
    assert host.run("update-db")["rows_synced"] == 1


def test_media_store_and_its_top_level_survive(sqlite_host: MediaHost, s3: S3Server, offered: list[Files]) -> None:
    """Upstream removes empty directories upwards, up to media_store and its parents."""
    (sqlite_host.media_path / ".synapse-s3").unlink()
    (sqlite_host.state_dir / "media-store-id").unlink()
    assert sqlite_host.upload(s3, delete=True)["files_deleted"] == 4
    remaining = sorted(path.name for path in sqlite_host.media_path.rglob("*") if path.name != ".synapse-s3")
    assert remaining == sorted(FIRST_LEVEL)
    for path in offered[0].paths:
        assert not (sqlite_host.media_path / path).parent.exists()


@pytest.mark.parametrize(
    ("origin", "filesystem_id", "kind"),
    [
        ("", "....outside", "local"),
        ("", "ab../../../outside", "local"),
        ("..", "abcdefgh", "remote"),
        ("/etc", "abcdefgh", "remote"),
        ("../../outside", "abcdefgh", "remote"),
        ("example.org", "..", "remote"),
    ],
)
def test_row_with_a_path_outside_the_media_store(
    sqlite_host: MediaHost, s3: S3Server, offered: list[Files], origin: str, filesystem_id: str, kind: str
) -> None:
    outside = sqlite_host.directory / "outside"
    outside.write_bytes(b"not Synapse's")
    sqlite_host.own(outside)
    insert_row(sqlite_host, origin, "evil", filesystem_id, kind)
    files = sqlite_host.on_disk()
    for check in (True, False):
        result = sqlite_host.upload(s3, delete=True, check=check)
        assert result["failed"] and filesystem_id in result["msg"] and "nothing was done" in result["msg"]
    assert sqlite_host.on_disk() == files
    assert s3.keys(sqlite_host.bucket) == []
    assert outside.read_bytes() == b"not Synapse's"


@pytest.mark.parametrize("depth", [0, 1, 3, 4], ids=["first level", "origin", "second pair", "file"])
def test_symbolic_link_in_the_path(sqlite_host: MediaHost, s3: S3Server, offered: list[Files], depth: int) -> None:
    """The target of a link may belong to another program."""
    parts = offered[1].paths[0].split("/")
    place = sqlite_host.media_path / "/".join(parts[: depth + 1])
    target = place.rename(sqlite_host.directory / "elsewhere")
    place.symlink_to(target)
    for check in (True, False):
        result = sqlite_host.upload(s3, delete=True, check=check)
        assert result["failed"] and "symbolic link" in result["msg"] and str(parts[depth]) in result["msg"]
    assert s3.keys(sqlite_host.bucket) == []
    assert target.exists() and place.is_symlink()


def test_stray_database_yaml(sqlite_host: MediaHost) -> None:
    """The script prefers a database.yaml in its working directory to its arguments; cp_* keys in it are an error."""
    sqlite_host.add_local()
    sqlite_host.state_dir.mkdir(mode=0o700)
    stray = sqlite_host.state_dir / "database.yaml"
    stray.write_text(yaml.safe_dump({"user": "x", "host": "203.0.113.1", "cp_min": 5}))
    sqlite_host.own(sqlite_host.state_dir, stray)
    checked = sqlite_host.run("update-db", check=True)
    assert (checked["rows_synced"], "203.0.113.1" in stray.read_text()) == (1, True)
    assert sqlite_host.run("update-db")["rows_synced"] == 1
    assert yaml.safe_load(stray.read_text()) == {"sqlite": {"database": str(sqlite_host.directory / "homeserver.db")}}
    assert stray.stat().st_mode & 0o777 == 0o600


def test_database_in_a_second_file(postgresql_host: MediaHost) -> None:
    """Debian's conf.d, with the cp_* keys of a usual homeserver.yaml."""
    postgresql_host.add_local()
    conf_d = postgresql_host.directory / "conf.d"
    conf_d.mkdir()
    content = yaml.safe_load(postgresql_host.config.read_text())
    (conf_d / "database.yaml").write_text(yaml.safe_dump({"database": content.pop("database")}))
    postgresql_host.config.write_text(yaml.safe_dump(content))
    result = postgresql_host.run("update-db", homeserver_config=[str(postgresql_host.config), str(conf_d)])
    assert result["rows_synced"] == 1
    written = yaml.safe_load((postgresql_host.state_dir / "database.yaml").read_text())
    assert "cp_min" not in written["postgres"]


def test_state_directory_is_private_to_the_modules_user(sqlite_host: MediaHost) -> None:
    sqlite_host.run("update-db")
    for path in (sqlite_host.state_dir, *sqlite_host.state_dir.iterdir()):
        assert path.stat().st_uid == sqlite_host.account.pw_uid
        assert path.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in sqlite_host.state_dir.iterdir()) == [
        "cache.db",
        "database.yaml",
        "lock",
        "media-store-id",
    ]


@root_only
@pytest.mark.parametrize("user", [None, "root"])
def test_root_is_refused(sqlite_host: MediaHost, user: str | None) -> None:
    os.chown(sqlite_host.media_path, 0, 0)
    for check in (True, False):
        result = sqlite_host.run("update-db", check=check, user=user)
        assert result["failed"] and "as root is refused" in result["msg"] and "synapse_s3_synapse_user" in result["msg"]
    assert not sqlite_host.state_dir.exists()


@root_only
def test_files_left_by_a_run_as_root(sqlite_host: MediaHost, offered: list[Files]) -> None:
    """A cache.db owned by root, as a run by hand leaves it."""
    os.chown(sqlite_host.state_dir / "cache.db", 0, 0)
    result = sqlite_host.run("check-deleted")
    assert result["failed"] and "cache.db belongs to root" in result["msg"]
    assert f"chown -R {sqlite_host.account.pw_name} {sqlite_host.state_dir}" in result["msg"]


@root_only
@pytest.mark.parametrize(("uid", "mode", "words"), [(0, 0o700, "belongs to root"), (None, 0o777, "Others may write")])
def test_state_directory_of_another_user(sqlite_host: MediaHost, uid: int | None, mode: int, words: str) -> None:
    sqlite_host.state_dir.mkdir()
    sqlite_host.own(sqlite_host.state_dir)
    if uid is not None:
        os.chown(sqlite_host.state_dir, uid, 0)
    sqlite_host.state_dir.chmod(mode)
    result = sqlite_host.run("update-db")
    assert result["failed"] and words in result["msg"] and "chown -R" in result["msg"]
    assert list(sqlite_host.state_dir.iterdir()) == []
