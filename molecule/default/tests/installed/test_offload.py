# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's own engine on a host: repairs, dry runs, progress, metrics, and a clean stop."""

from __future__ import annotations

import re
import time

CONFIG = "/etc/synapse-s3/migrate.yml"
SERVICE = "synapse-s3-migrate.service"


def upload(homeserver, count):
    """Upload pictures with thumbnails; Synapse has copied some of them to the bucket already."""
    homeserver.tool("media.py", "upload", "/opt/test-tools/molecule-offload.json", "--count", str(count))
    media = homeserver.media
    assert len(media) > count
    return media


def test_an_object_that_differs_is_repaired_from_the_good_file(homeserver):
    media = upload(homeserver, 1)
    path = next(path for path in media if path.startswith("local_content/"))
    stored = homeserver.object_path(f"molecule/{path}")
    digest = homeserver.host.file(f"{homeserver.facts['media_store_path']}/{path}").sha256sum
    homeserver.run("truncate", "--size=10", stored)
    homeserver.run("systemctl", "start", SERVICE)
    assert homeserver.media == {}
    assert homeserver.host.file(stored).sha256sum == digest
    assert "differed" in homeserver.run("journalctl", f"--unit={SERVICE}", "--no-pager")


def test_a_dry_run_reports_what_it_would_do_and_changes_nothing(homeserver):
    media, bucket = upload(homeserver, 1), homeserver.bucket
    said = homeserver.run("synapse-s3-migrate", "--dry-run")
    assert f"{len(media)} files" in said
    assert "would be deleted" in said
    assert (homeserver.media, homeserver.bucket) == (media, bucket)


def test_a_terminal_shows_the_progress(homeserver):
    shown = homeserver.run("script", "-qec", "stty columns 80; synapse-s3-migrate --dry-run", "/dev/null")
    assert " left" in shown
    assert "files/s" in shown
    hidden = homeserver.run("script", "-qec", "synapse-s3-migrate --dry-run --no-progress", "/dev/null")
    assert " left" not in hidden


def test_the_playbook_reports_in_check_mode_and_moves_in_a_real_run(homeserver, play):
    media = upload(homeserver, 1)
    # A limit that is not reached: nothing more leaves, and what does is told by its cause.
    limit = ("-e", "synapse_s3_migrate_local_cache_size=1T")
    checked = play("matrix_ops.synapse_s3.migrate", "--check", "--diff", *limit)
    assert checked.status == 0, checked.output
    assert homeserver.media == media
    assert f"{len(media)} files" in sentence(checked, "Would be moved on")
    assert "files by older_than" in re.sub(r"\s+", " ", checked.output)
    moved = play("matrix_ops.synapse_s3.migrate")
    assert moved.status == 0, moved.output
    assert moved.changed == 1
    assert f"{len(media)} files" in sentence(moved, "Moved on")
    assert homeserver.media == {}


def sentence(play, beginning):
    """Ansible's output may break a message into several lines."""
    said = re.sub(r"\s+", " ", play.output)
    found = re.search(beginning + r" [^:]*: .*? off the disk", said)
    assert found, play.output
    assert re.search(r"\([0-9.]+ [KM]iB\)", found[0]), found[0]
    return found[0]


def test_the_metrics_of_the_last_run_are_readable_for_prometheus(homeserver):
    media = upload(homeserver, 1)
    homeserver.run("systemctl", "start", SERVICE)
    file = homeserver.host.file("/srv/metrics/synapse-s3.prom")
    assert (file.mode, file.user) == (0o644, "synapse")
    metrics = dict(line.rsplit(" ", 1) for line in file.content_string.splitlines() if not line.startswith("#"))
    assert metrics["synapse_s3_offload_success"] == "1"
    assert metrics['synapse_s3_offload_files{outcome="deleted"}'] == str(len(media))
    assert time.time() - float(metrics["synapse_s3_offload_last_success_timestamp_seconds"]) < 600


def test_a_stopped_run_loses_nothing_and_is_no_failure(homeserver):
    media = upload(homeserver, 4)
    for path in media:
        homeserver.run("rm", "--force", homeserver.object_path(f"molecule/{path}"))
    homeserver.run("cp", "--preserve", CONFIG, "/opt/test-tools/migrate.yml")
    # So slow that the run lasts as long as this test.
    homeserver.run("sed", "--in-place", "s/bandwidth_limit: .*/bandwidth_limit: 50K/", CONFIG)
    try:
        homeserver.run("systemctl", "start", "--no-block", SERVICE)
        time.sleep(5)
        assert "ActiveState=activating" in homeserver.run("systemctl", "show", SERVICE, "--property=ActiveState")
        homeserver.run("systemctl", "stop", SERVICE)
    finally:
        homeserver.run("cp", "--preserve", "/opt/test-tools/migrate.yml", CONFIG)
    shown = homeserver.run("systemctl", "show", SERVICE, "--property=ActiveState,Result,ExecMainStatus")
    assert sorted(shown.split()) == ["ActiveState=inactive", "ExecMainStatus=143", "Result=success"]
    disk, bucket = homeserver.media, homeserver.bucket
    assert disk != {}, "the run had ended before it was stopped"
    whole = {path for path, size in media.items() if size in (disk.get(path), bucket.get(f"molecule/{path}"))}
    assert whole == set(media)

    homeserver.run("systemctl", "start", SERVICE)
    assert homeserver.media == {}
    bucket = homeserver.bucket
    assert {path: bucket.get(f"molecule/{path}") for path in media} == media
