# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The metrics file: readable by Prometheus, and complete at every moment."""

from __future__ import annotations

import time
from pathlib import Path

from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.metrics import write_metrics
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.offload.report import (
    DELETED,
    UPLOADED,
    Report,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.reporting import Tally

PREFIX = "synapse_s3_offload_"


def read(path: Path) -> dict[str, float]:
    """Return the samples by name and labels; fail on text that the format does not allow."""
    samples: dict[str, float] = {}
    typed: set[str] = set()
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            words = line.split()
            assert words[1] in ("HELP", "TYPE") and len(words) >= 4
            if words[1] == "TYPE":
                assert words[2] not in typed and words[3] == "gauge"
                typed.add(words[2])
            continue
        name, dummy, value = line.rpartition(" ")
        assert name.startswith(PREFIX) and name.split("{")[0] in typed and name not in samples
        samples[name[len(PREFIX) :]] = float(value)
    return samples


def report() -> Report:
    done = Report()
    done.scanned.add(30)
    done.done(UPLOADED, "a", 10)
    done.done(DELETED, "a", 10)
    done.skip("recent", 20)
    done.fail("b", "b", "no")
    done.requests = {"put": 1}
    done.seconds = 2.5
    return done


def test_all_metrics_are_written(tmp_path: Path) -> None:
    path = tmp_path / "offload.prom"
    began = time.time()
    write_metrics(str(path), report(), media_path=str(tmp_path), exit_status=0)
    samples = read(path)
    assert began <= samples["last_run_timestamp_seconds"] == samples["last_success_timestamp_seconds"] <= time.time()
    assert (samples["success"], samples["exit_status"], samples["duration_seconds"]) == (1, 0, 2.5)
    assert samples['files{outcome="uploaded"}'] == samples['files{outcome="failed"}'] == 1
    assert (samples['bytes{outcome="deleted"}'], samples['bytes{outcome="scanned"}']) == (10, 30)
    assert (samples['skipped_files{reason="recent"}'], samples['skipped_bytes{reason="recent"}']) == (1, 20)
    assert samples['requests{kind="put"}'] == 1
    assert 0 <= samples["disk_free_bytes"] < samples["disk_size_bytes"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_limit_of_the_disk_selected_is_among_the_metrics(tmp_path: Path) -> None:
    path = tmp_path / "offload.prom"
    done = report()
    done.selected = {"older_than": Tally(), "local_cache_size": Tally()}
    done.selected["local_cache_size"].add(7)
    done.kept = Tally()
    write_metrics(str(path), done, media_path=str(tmp_path), exit_status=0)
    samples = read(path)
    assert samples['selected_files{setting="local_cache_size"}'] == 1
    assert samples['selected_bytes{setting="local_cache_size"}'] == 7
    assert samples['selected_files{setting="older_than"}'] == samples['files{outcome="kept"}'] == 0


def test_a_failed_run_keeps_the_time_of_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "offload.prom"
    write_metrics(str(path), report(), media_path=str(tmp_path), exit_status=2)
    assert (read(path)["last_success_timestamp_seconds"], read(path)["success"], read(path)["exit_status"]) == (0, 0, 2)
    write_metrics(str(path), report(), media_path=str(tmp_path), exit_status=0)
    success = read(path)["last_success_timestamp_seconds"]
    write_metrics(str(path), report(), media_path=str(tmp_path), exit_status=1)
    write_metrics(str(path), report(), media_path=str(tmp_path), exit_status=1)
    assert read(path)["last_success_timestamp_seconds"] == success > 0
    assert read(path)["last_run_timestamp_seconds"] > success and read(path)["success"] == 0


def test_a_file_without_metrics_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "offload.prom"
    path.write_bytes(b"\xff" + f"\n{PREFIX}last_success_timestamp_seconds 1e9e9\n".encode())
    write_metrics(str(path), Report(), media_path=str(tmp_path), exit_status=1)
    assert read(path)["last_success_timestamp_seconds"] == 0


def test_a_missing_media_store_gives_no_disk_metrics(tmp_path: Path) -> None:
    path = tmp_path / "offload.prom"
    write_metrics(str(path), Report(), media_path=str(tmp_path / "absent"), exit_status=2)
    assert "disk_free_bytes" not in read(path) and read(path)["success"] == 0
