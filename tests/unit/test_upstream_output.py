# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script's output is parsed, and the cause of its failure becomes a message for operators."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.homeserver import (
    DatabaseSettings,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.settings.store import StoreSettings
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream import launcher
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.output import (
    Context,
    Output,
    reason_of,
)
from ansible_collections.matrix_ops.synapse_s3.plugins.module_utils.synapse_media.upstream.script import CompletedScript

ROOT = "/srv/media store"
CONTEXT = Context(
    StoreSettings(bucket="media", endpoint_url="https://s3.example.org", access_key_id="i", secret_access_key="s"),
    DatabaseSettings("psycopg2", {"dbname": "synapse"}),
)
UPLOAD_SUMMARY = [
    "Uploaded 3 media out of 7",
    "Uploaded 9 files",
    "Uploaded 1234567",
    "Deleted 2 media",
    "Deleted 6 files",
    "Deleted 890",
]


def output_of(*lines: str, planned: tuple[str, ...] = ()) -> Output:
    output = Output(ROOT, planned.__contains__)
    for line in lines:
        output.read(line)
    return output


def test_upload_summary() -> None:
    assert output_of("Uploading  7  files", *UPLOAD_SUMMARY).counts == {
        "media_uploaded": 3,
        "media_total": 7,
        "files_uploaded": 9,
        "bytes_uploaded": 1234567,
        "media_deleted": 2,
        "files_deleted": 6,
        "bytes_deleted": 890,
    }


def test_other_summaries() -> None:
    assert output_of("  Syncing local media", "Synced 12 new rows").counts == {"rows_synced": 12}
    assert output_of("Checking on  5  undeleted files", "Updated 4 as deleted").counts == {"marked_deleted": 4}


def test_threshold_is_the_scripts_own() -> None:
    now = datetime.datetime(2026, 11, 20, 5, 0, 0, 123456)
    output = output_of(f"Syncing files that haven't been accessed since: {now.isoformat(' ')}")
    assert output.since_ms == int(now.timestamp() * 1000)
    assert output_of("Syncing files that haven't been accessed since: yesterday").since_ms is None


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("local_content/ab/cd/ef", "Failed to upload /srv/media store/local_content/ab/cd/ef to media/x: An error"),
        ("local_thumbnails/ab/cd/ef/a name with spaces", "[Errno 13] Permission denied: '/srv/x'"),
    ],
)
def test_failed_uploads_are_named(path: str, error: str) -> None:
    output = output_of(f"Failed to upload file %s: %s {ROOT}/{path} {error}", planned=(path,))
    assert [(problem.path, problem.error) for problem in output.failed] == [(path, error)]


def test_files_left_alone_are_no_failures() -> None:
    output = output_of(f"Failed to upload file %s: %s {ROOT}/local_content/ab/cd/new {launcher.LEFT_ALONE}")
    assert not output.failed
    assert [problem.path for problem in output.left_alone] == ["local_content/ab/cd/new"]


def reason(error_text: str = "", exit_status: int = 1, *lines: str, command: str = "upload") -> str | None:
    return reason_of(CompletedScript(exit_status, [], error_text), output_of(*lines), command, CONTEXT)


def traceback(last: str) -> str:
    calls = '  File "s3_media_upload", line 1, in <module>\n    main()\n    ^^^^^^\n'
    return f"Traceback (most recent call last):\n{calls}{last}\n"


def test_a_successful_run_has_no_error() -> None:
    assert reason("", 0, *UPLOAD_SUMMARY) is None


def test_a_summary_that_is_incomplete() -> None:
    told = reason("", 0, *UPLOAD_SUMMARY[:-1])
    assert told is not None and "bytes_deleted" in told


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (
            "botocore.exceptions.ClientError: An error occurred (403) when calling the HeadObject operation: Forbidden",
            ["s3:GetObject"],
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (400) when calling the HeadObject operation"
            " (reached max retries: 2): Bad Request",
            ["synapse_s3_endpoint_url"],
        ),
        ("ValueError: invalid literal for int() with base 10: 'SignatureDoesNotMatch'", ["secret_access_key"]),
        (
            'botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: "https://x/"',
            ["cannot be reached", "synapse_s3_endpoint_url"],
        ),
        ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", ["synapse_s3_access_key_id"]),
        (
            "PermissionError: [Errno 13] Permission denied: '/srv/media/local_content/ab'",
            ["/srv/media/local_content/ab: Permission denied", "synapse_s3_synapse_user"],
        ),
        (
            'psycopg2.errors.UndefinedTable: relation "local_media_repository" does not exist\nLINE 3: FROM x\n      ^',
            ["not Synapse's", "synapse_s3_database"],
        ),
        ("psycopg2.errors.InsufficientPrivilege: permission denied for table remote_media_cache", ["SELECT"]),
        ("ModuleNotFoundError: No module named 'tqdm'", ["not installed", "tqdm", "migrate role"]),
        (f"RuntimeError: /srv/media/x {launcher.CHANGED}", ["/srv/media/x was changed"]),
        ("KeyError: 'surprise'", ["KeyError: 'surprise'"]),
    ],
)
def test_tracebacks(last: str, words: list[str]) -> None:
    told = reason(traceback(last))
    assert told is not None
    for word in words:
        assert word in told


def test_of_chained_tracebacks_the_last_counts() -> None:
    first = traceback("KeyError: 'first'")
    second = traceback("OSError: x")
    told = reason(f"{first}\nDuring handling of the above exception, another exception occurred:\n\n{second}")
    assert told == "OSError: x"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'Could not connect to postgres database: connection to server at "h", port 5432 failed: FATAL:  '
            'password authentication failed for user "synapse"',
            ["user and password in synapse_s3_database"],
        ),
        ("Could not connect to postgres database: could not translate host name", ["host and port"]),
        ("Could not open 'cache.db' as sqlite DB: unable to open database file", ["cache.db"]),
    ],
)
def test_usage_errors(text: str, words: list[str]) -> None:
    told = reason(f"usage: s3_media_upload [-h]\ns3_media_upload: error: {text}\n", 2, command="update-db")
    assert told is not None
    for word in words:
        assert word in told


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            "Failed to upload /x to media/y: An error occurred (NoSuchBucket) when calling the PutObject operation: x",
            ["'media' does not exist", "synapse_s3_bucket"],
        ),
        (
            "Failed to upload /x to media/y: An error occurred (InternalError) when calling the PutObject operation"
            " (reached max retries: 4): boom",
            ["s3.example.org"],
        ),
        ('Could not connect to the endpoint URL: "https://s3.example.org/media"', ["cannot be reached"]),
        ("something new", ["something new"]),
    ],
)
def test_failed_uploads_with_exit_status_0(error: str, words: list[str]) -> None:
    told = reason("", 0, f"Failed to upload file %s: %s {ROOT}/local_content/ab/cd/ef {error}", *UPLOAD_SUMMARY)
    assert told is not None and told.startswith("one file was not uploaded, first local_content/ab/cd/ef: ")
    for word in words:
        assert word in told


def test_signals_are_named() -> None:
    told = reason("", -9)
    assert told is not None and "SIGKILL" in told


def test_a_failure_without_output() -> None:
    told = reason("", 3)
    assert told is not None and "exit status 3" in told
