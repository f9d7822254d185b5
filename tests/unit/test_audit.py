# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changes during an audit is not reported as lost. Its order, requests and memory, and what may be in the way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.audit import comparison
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.audit.run import (
    Audit,
    AuditSettings,
    Observer,
    audit,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.database.ordered import OrderedRows
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    Media as DiskMedia,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.layout import (
    is_ordinary,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.disk.walk import walk
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from audit_state import NOW, File, Media, State
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from local_tree import store_of_an_ordinary_user
from object_store import Object, ObjectStore, object_store
from scripted_store import Request, answer, error, scripted_store

PACKAGE = str(Path(__file__).parents[2] / "plugins" / "module_utils")
MEDIA = [
    Media("", "AbCdEfGh", thumbnails=((32, "crop"),)),
    Media("example.org", "ZyXwVuTs", thumbnails=((32, "crop"),)),
]
ALONE = MEDIA[0]._replace(thumbnails=())
OURS, THEIRS = MEDIA[0].path, MEDIA[1].path


def files_of(result: Audit) -> dict[str, int]:
    return {name: finding.files for name, finding in result.findings.items() if finding.files}


class Host:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "media_store"
        self.pages = self.heads = 0

    def execute(self, sql: str) -> None:
        with closing(sqlite3.connect(self.directory / "homeserver.db")) as connection:
            connection.execute(sql)
            connection.commit()

    def audit(
        self,
        state: State,
        *,
        arrange: Callable[[ObjectStore], None] = lambda store: None,
        page: int = 1000,
        observe: Observer | None = None,
        **changes: Any,
    ) -> Audit:
        """Writes the state, calls `arrange`, and compares; `observe` may change something after the comparison."""
        database = state.write(self.directory)
        with object_store(dict(state.objects), page) as store:
            arrange(store)
            asked = {"root": str(self.root), "database": database, "store": store.server.settings(), **changes}
            result = audit(AuditSettings(**asked), lambda file, row: None, observe, now=NOW)
            self.pages, self.heads = store.pages, store.heads
        return result


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


NAMES = st.text(
    st.one_of(st.sampled_from("ab!-./0~é\uffdc\U0001f600\U00010000"), st.characters(codec="utf-8")),
    min_size=1,
    max_size=9,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.sets(st.tuples(st.one_of(st.just(""), NAMES), NAMES), max_size=15))
def test_rows_come_in_the_order_of_the_keys_in_utf_8(rows: set[tuple[str, str]], tmp_path: Path) -> None:
    """As the walk gives files: any name that a row can have, and no two orders."""
    directory = Path(tmp_path, os.urandom(8).hex())
    directory.mkdir()
    kept = [Media(*row) for row in rows if "\0" not in row[0] + row[1]]
    ordered = OrderedRows(
        State([row._replace(thumbnails=((32, "crop"), (32, "crop"))) for row in kept]).write(directory)
    )
    ordered.open()
    paths: list[str] = []
    while True:
        batch = ordered.next()
        if batch is None:
            break
        paths += batch[0]
    ordered.close()
    assert paths == sorted(paths, key=str.encode)
    originals = {path for path in paths if "_content/" in path}
    usable = [
        row for row in kept if is_ordinary(DiskMedia("remote" if row.origin else "local", row.origin, row.media_id))
    ]
    assert originals == {row.path for row in usable}
    assert {path for path in paths if path not in originals and path[-1] != "/"} == {
        row.thumbnail(32, "crop") for row in usable
    }
    assert ordered.unusable == len(kept) - len(usable)


def test_files_rows_and_objects_meet_where_names_end_before_and_after_the_slash(host: Host) -> None:
    origins = ["a", "a-b", "a.b", "a+b", "a!", "a0", "a:8448", "aé", "a\U0001f600", "a~"]
    state = State([Media(origin, f"AB{end}D{end}ef") for origin in origins for end in "-.!0z"])
    for row in state.rows:
        state.files[row.path] = File(10)
        state.objects[row.path] = Object(10)
    files = list(state.files)
    result = host.audit(state, page=3)
    assert files_of(result) == {"both_equal": len(files)}
    assert [file.path for file in walk(str(host.root), lambda *left: None)] == sorted(files, key=str.encode)


def test_the_legacy_name_of_a_remote_thumbnail_is_known(host: Host) -> None:
    legacy = MEDIA[1].thumbnail(32, "crop").rpartition("-")[0]
    state = State([MEDIA[1]], objects={THEIRS: Object(10), legacy: Object(5)})
    assert "nowhere" not in files_of(host.audit(state))


class TestWhatChangesMeanwhile:
    """By the end of the audit there is something else than when it was read."""

    def test_a_file_that_a_run_moved_is_not_lost(self, host: Host) -> None:
        def arrange(store: ObjectStore) -> None:
            def before(request: Request) -> None:
                if request.method == "HEAD":
                    store.objects[OURS] = Object(10)

            store.before = before

        result = host.audit(State([ALONE]), arrange=arrange)
        assert files_of(result) == {"bucket_only": 1}
        assert result.settled == 1

    def test_media_that_synapse_has_deleted_is_not_lost(self, host: Host) -> None:
        def delete(objects: int, rows: int, files: int) -> None:
            host.execute("DELETE FROM local_media_repository")

        result = host.audit(State([MEDIA[0]]), observe=delete)
        assert files_of(result) == {}
        assert result.settled == 2

    def test_a_difference_that_is_gone_at_the_end_is_none(self, host: Host) -> None:
        def repair(objects: int, rows: int, files: int) -> None:
            (host.root / OURS).write_bytes(b"x" * 10)

        state = State([ALONE], {OURS: File(3)}, {OURS: Object(10)})
        assert files_of(host.audit(state, observe=repair)) == {"both_equal": 1}

    def test_what_stays_different_or_lost_is_reported(self, host: Host) -> None:
        state = State(MEDIA, {OURS: File(3)}, {OURS: Object(10)})
        result = host.audit(state)
        assert files_of(result) == {"both_different": 1, "nowhere": 3}
        assert result.findings["nowhere"].examples[0] == THEIRS
        assert result.settled == 0

    def test_a_store_that_refuses_the_second_question_leaves_it_open(self, host: Host) -> None:
        def refuse(store: ObjectStore) -> None:
            store.before = lambda request: error(403, "AccessDenied") if request.method == "HEAD" else None

        result = host.audit(State([MEDIA[0]]), arrange=refuse)
        assert files_of(result) == {"not_asked": 2}
        assert "bucket" in result.failures

    def test_the_second_look_is_bounded_and_says_so(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(comparison, "MOST_SUSPECTS", 4)
        result = host.audit(State([Media("", f"AbCd{number:04}") for number in range(10)]))
        assert files_of(result) == {"nowhere": 10}
        assert (result.comparison.unconfirmed, host.heads) == (6, 4)


class TestWhatIsInTheWay:
    def test_a_link_to_a_directory_hides_the_files_behind_it(self, host: Host) -> None:
        def arrange(store: ObjectStore) -> None:
            directory = host.root / "local_content" / "Ab"
            directory.rename(host.directory / "elsewhere")
            directory.symlink_to(host.directory / "elsewhere")

        result = host.audit(State(MEDIA, {OURS: File(10), THEIRS: File(10)}), arrange=arrange)
        assert result.findings["not_asked"].examples == [OURS]
        assert result.findings["nowhere"].files_of("local_content") == 0
        assert result.left["symlink"]["files"] == 1

    def test_a_directory_that_cannot_be_read_hides_its_files(self) -> None:
        with store_of_an_ordinary_user() as place:
            host = Host(place)
            directory = host.root / "local_content" / "Ab"
            result = host.audit(State([ALONE], {OURS: File(10)}), arrange=lambda store: directory.chmod(0))
            directory.chmod(0o755)
        assert files_of(result) == {"not_asked": 1}
        assert result.left["unreadable_directory"]["files"] == 1

    def test_a_link_in_the_place_of_a_file_is_not_nothing(self, host: Host) -> None:
        state = State([ALONE])
        link = host.root / OURS
        link.parent.mkdir(parents=True)
        link.symlink_to("/etc/hostname")
        assert files_of(host.audit(state)) == {"not_asked": 1}

    @pytest.mark.parametrize(
        ("changes", "failed"),
        [
            ({"root": "/nowhere"}, "disk"),
            ({"store": None, "store_failure": "away"}, "bucket"),
            ({"database": None, "database_failure": "away"}, "database"),
        ],
    )
    def test_nothing_is_lost_if_one_cannot_be_asked(self, host: Host, changes: dict[str, Any], failed: str) -> None:
        result = host.audit(State(MEDIA), **changes)
        assert set(result.failures) == {failed}
        assert "nowhere" not in files_of(result)

    def test_a_store_that_is_away_ends_in_bounded_time(self, host: Host, tmp_path: Path) -> None:
        with object_store({}) as store:
            gone = store.server.settings()
        result = host.audit(State(MEDIA, {OURS: File(10)}), store=gone)
        assert "cannot be reached" in result.failures["bucket"] or "refused" in result.failures["bucket"]
        assert files_of(result) == {"not_asked": 4}

    def test_a_database_without_media_tables(self, host: Host, tmp_path: Path) -> None:
        other = tmp_path / "other.db"
        sqlite3.connect(other).close()
        state = State([], {OURS: File(10)}, {OURS: Object(10)})
        result = host.audit(state, database=DatabaseSettings("sqlite3", {"database": str(other)}))
        assert "no media tables" in result.failures["database"]
        assert files_of(result) == {"both_equal": 1}

    def test_a_database_without_thumbnail_tables_says_nothing_of_lost_thumbnails(self, host: Host) -> None:
        result = host.audit(
            State([MEDIA[0]], objects={OURS: Object(10)}),
            arrange=lambda store: host.execute("DROP TABLE local_media_repository_thumbnails"),
        )
        assert files_of(result) == {"bucket_only": 1}
        assert not result.knows_thumbnails


@pytest.mark.parametrize("count", [0, 1, 7, 8, 40])
def test_the_requests_are_one_a_page(host: Host, count: int) -> None:
    rows = [Media("", f"AbCd{number:04}") for number in range(count)]
    state = State(rows, objects={row.path: Object(10) for row in rows})
    result = host.audit(state, page=8)
    assert files_of(result) == ({"bucket_only": count} if count else {})
    assert host.pages <= count / 8 + 1
    # One object is tried whether it can be read.
    assert host.heads == min(count, 1)


MEASURE = """
import sys
from pathlib import Path
from synapse_media.audit.run import AuditSettings, audit
from synapse_media.settings.homeserver import DatabaseSettings
from synapse_media.settings.store import StoreSettings
root, database, endpoint = sys.argv[1:]
store = StoreSettings("media", "", endpoint, "us-east-1", "id", "secret")
result = audit(AuditSettings(root, DatabaseSettings("sqlite3", {"database": database}), store), lambda file, row: None)
peak = next(line.split()[1] for line in Path("/proc/self/status").open() if line.startswith("VmHWM:"))
print(result.findings["bucket_only"].files, peak)
"""


def listing(count: int, request: Request) -> bytes:
    """A page of `count` objects, whose keys are their numbers."""
    query = parse_qs(urlsplit(request.target).query)
    if "list-type" not in query:
        return answer(404) if request.method != "HEAD" else b"HTTP/1.1 404 Words\r\nContent-Length: 0\r\n\r\n"
    after = "".join(query["start-after"][0].split("/")[1:])[:8] if "start-after" in query else "-1"
    first = int(after) + 1
    names = [f"{number:08}" for number in range(first, min(count, first + 1000))]
    contents = "".join(
        f"<Contents><Key>local_content/{name[:2]}/{name[2:4]}/{name[4:]}abcdefgh</Key><Size>10</Size></Contents>"
        for name in names
    )
    more = str(first + 1000 < count).lower()
    return answer(200, f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{contents}</ListBucketResult>".encode())


def peak_memory(directory: Path, count: int) -> int:
    """In KiB, of a process that compares so many rows with so many objects."""
    directory.mkdir()
    database = State().write(directory)
    with closing(sqlite3.connect(directory / "homeserver.db")) as connection:
        names = ((f"{number:08}abcdefgh",) for number in range(count))
        connection.executemany(
            "INSERT INTO local_media_repository (media_id, media_length, created_ts) VALUES (?, 10, 1)", names
        )
        connection.commit()
    with scripted_store(b"") as store:
        store.choose(lambda request: listing(count, request))
        arguments = [str(directory / "media_store"), database.args["database"], store.endpoint_url]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *arguments],
            env={**os.environ, "PYTHONPATH": PACKAGE},
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    found, peak = done.stdout.split()
    assert int(found) == count
    return int(peak)


def test_memory_is_flat(tmp_path: Path) -> None:
    small, large = (peak_memory(tmp_path / str(count), count) for count in (30_000, 300_000))
    assert large < small + 15 * 1024, (small, large)
