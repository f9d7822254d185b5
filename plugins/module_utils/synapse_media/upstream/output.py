# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of upstream's script, parsed line by line, and why it failed, as a message for operators.

Its exit status means little: it is 0 for most failed uploads.
"""

from __future__ import annotations

import datetime
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import dropwhile

from ..database.errors import explain_database_words
from ..s3.explain import explain
from ..settings.homeserver import DatabaseSettings
from ..settings.store import StoreSettings
from . import launcher
from .report import Problems
from .script import CompletedScript

# The script prints its logging pattern unformatted, followed by the path and the reason.
_FAILED = "Failed to upload file %s: %s "
_SINCE = "Syncing files that haven't been accessed since: "

_COUNTS = {
    "rows_synced": re.compile(r"Synced ([0-9]+) new rows"),
    "marked_deleted": re.compile(r"Updated ([0-9]+) as deleted"),
    "media_uploaded": re.compile(r"Uploaded ([0-9]+) media out of [0-9]+"),
    "media_total": re.compile(r"Uploaded [0-9]+ media out of ([0-9]+)"),
    "files_uploaded": re.compile(r"Uploaded ([0-9]+) files"),
    "bytes_uploaded": re.compile(r"Uploaded ([0-9]+)"),
    "media_deleted": re.compile(r"Deleted ([0-9]+) media"),
    "files_deleted": re.compile(r"Deleted ([0-9]+) files"),
    "bytes_deleted": re.compile(r"Deleted ([0-9]+)"),
}
SUMMARY = {
    "update-db": ("rows_synced",),
    "check-deleted": ("marked_deleted",),
    "upload": tuple(name for name in _COUNTS if name not in ("rows_synced", "marked_deleted")),
}

_CLIENT_ERROR = re.compile(r"An error occurred \(([^)]+)\) when calling the (\w+) operation(?:[^:]*): (.*)", re.DOTALL)
# Upstream's error for a code that is not a number: it compares the code with 404.
_CODE_AS_NUMBER = re.compile(r"ValueError: invalid literal for int\(\) with base 10: '([^']+)'")
_EXCEPTION = re.compile(r"^(?:[\w]+\.)*(\w+)(?:: (.*))?$")
_ARGPARSE = re.compile(r"^s3_media_upload(?: [\w-]+)?: error: (.*)", re.MULTILINE | re.DOTALL)
_OS_ERROR = re.compile(r"\[Errno \d+\] ([^:]+): '([^']*)'")
_HTTP_OF_CODE = re.compile(r"[1-5][0-9][0-9]")
_USAGE_STATUS = 2


@dataclass
class Output:
    root: str
    is_planned: Callable[[str], bool]
    counts: dict[str, int] = field(default_factory=dict)
    since_ms: int | None = None
    failed: Problems = field(default_factory=Problems)
    left_alone: Problems = field(default_factory=Problems)

    def read(self, line: str) -> None:
        if line.startswith(_FAILED):
            self._read_failure(line[len(_FAILED) :])
        elif line.startswith(_SINCE):
            self.since_ms = _milliseconds(line[len(_SINCE) :])
        else:
            for name, pattern in _COUNTS.items():
                match = pattern.fullmatch(line)
                if match:
                    self.counts[name] = int(match.group(1))

    def missing_from_summary(self, command: str) -> list[str]:
        return [name for name in SUMMARY[command] if name not in self.counts]

    def _read_failure(self, text: str) -> None:
        path, error = self._split(text)
        if error == launcher.LEFT_ALONE:
            self.left_alone.add(path, error)
        else:
            self.failed.add(path, error)

    def _split(self, text: str) -> tuple[str, str]:
        """Split a path and a reason that are separated by a space, which both may contain too."""
        relative = text[len(self.root) + 1 :] if text.startswith(f"{self.root}/") else text
        words = relative.split(" ")
        for end in range(1, len(words)):
            path = " ".join(words[:end])
            if self.is_planned(path):
                return path, " ".join(words[end:])
        return words[0], " ".join(words[1:])


def _milliseconds(text: str) -> int | None:
    """Compute exactly the number that the script compared with: it uses local time without a zone, and so does this."""
    try:
        return int(datetime.datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return None


@dataclass(frozen=True)
class Context:
    """The settings that the messages name."""

    store: StoreSettings | None
    database: DatabaseSettings | None


def reason_of(ended: CompletedScript, output: Output, command: str, context: Context) -> str | None:
    """Return None if the run succeeded."""
    if ended.exit_status < 0:
        return f"it was killed by {_signal_name(-ended.exit_status)}. Run this again: it continues where it stopped."
    if "Traceback (most recent call last)" in ended.error_text:
        return _reason_of_traceback(ended.error_text, context)
    if ended.exit_status == _USAGE_STATUS:
        return _reason_of_usage(ended.error_text, context)
    if ended.exit_status != 0:
        return f"it ended with exit status {ended.exit_status} and printed no reason."
    if output.failed:
        return _reason_of_uploads(output, context)
    missing = output.missing_from_summary(command)
    if missing:
        return f"its summary lacks {', '.join(missing)}, so it did not get to its end or is an unknown release."
    return None


def _reason_of_traceback(text: str, context: Context) -> str:
    last = text.rstrip().rpartition("\nTraceback (most recent call last)")[2]
    words = _last_exception(last or text)
    number = _CODE_AS_NUMBER.search(words)
    if number:
        return _explained(_ServerError(number.group(1), "HeadObject", ""), context)
    if launcher.CHANGED in words:
        return words.partition(": ")[2] + ". Run this again."
    if "psycopg2" in words or words.startswith("sqlite3."):
        return _reason_of_database(words, context)
    match = _EXCEPTION.match(words)
    if match and match.group(1) in ("ModuleNotFoundError", "ImportError"):
        return f"a Python library it needs is not installed ({match.group(2)}). Run the migrate role again."
    return reason_of_text(words, context)


def _last_exception(text: str) -> str:
    """Return the lines of the exception: from the first line without indentation after the last call of the stack."""
    lines = text.splitlines()
    start = max((number for number, line in enumerate(lines) if line.startswith('  File "')), default=0)
    return "\n".join(dropwhile(lambda line: line.startswith(" "), lines[start:])).strip()


def _reason_of_usage(text: str, context: Context) -> str:
    match = _ARGPARSE.search(text)
    words = " ".join(match.group(1).split()) if match else text.strip()
    connecting = re.match(r"Could not connect to (?:postgres|sqlite3) database: (.*)", words)
    if connecting:
        return _reason_of_database(connecting.group(1), context)
    return words


def _reason_of_database(words: str, context: Context) -> str:
    message = words.partition(": ")[2] if words.startswith(("psycopg2.", "sqlite3.")) else words
    if context.database is None:
        return message
    return explain_database_words(f"{_short_name(words)}{message}", context.database)


def _short_name(words: str) -> str:
    match = re.match(r"(?:psycopg2|sqlite3)\.(?:errors\.)?(\w+): ", words)
    return f"{match.group(1)}: " if match else ""


def _reason_of_uploads(output: Output, context: Context) -> str:
    first = next(iter(output.failed))
    count = len(output.failed)
    files = "one file was" if count == 1 else f"{count} files were"
    return f"{files} not uploaded, first {first.path}: {reason_of_text(first.error, context)}"


def reason_of_text(words: str, context: Context) -> str:
    """Parse the text of an error that boto3, botocore or the operating system raised in the script."""
    response = _CLIENT_ERROR.search(words)
    if response:
        return _explained(_ServerError(*response.groups()), context)
    os_error = _OS_ERROR.search(words)
    if os_error:
        return (
            f"{os_error.group(2)}: {os_error.group(1)}. Give the media store to the user this runs as "
            "(synapse_s3_synapse_user), and see that its disk is mounted for writing."
        )
    exception = _EXCEPTION.match(words.splitlines()[0]) if words else None
    if exception and exception.group(1).endswith("Error") and "botocore" in words.split(":")[0]:
        return _explained(type(exception.group(1), (Exception,), {})(exception.group(2) or ""), context)
    named = _botocore_error_by_message(words)
    if named:
        return _explained(type(named, (Exception,), {})(words), context)
    return words or "it gave no reason."


def _botocore_error_by_message(words: str) -> str | None:
    """For a failed upload the script prints only the message, without the exception's name."""
    for beginning, name in (
        ("Could not connect to the endpoint URL", "EndpointConnectionError"),
        ("Connect timeout on endpoint URL", "ConnectTimeoutError"),
        ("Read timeout on endpoint URL", "ReadTimeoutError"),
        ("Connection was closed before", "ConnectionClosedError"),
        ("Unable to locate credentials", "NoCredentialsError"),
        ("SSL validation failed", "SSLError"),
    ):
        if beginning in words:
            return name
    return None


class _ServerError(Exception):
    """A store's response, rebuilt from what the script printed of it, in the shape that explain() knows."""

    def __init__(self, code: str, operation: str, message: str) -> None:
        super().__init__(f"An error occurred ({code}) when calling the {operation} operation: {message}")
        status = int(code) if _HTTP_OF_CODE.fullmatch(code) else 0
        self.operation_name = operation
        self.response = {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
        }


def _explained(error: Exception, context: Context) -> str:
    if context.store is None:
        return str(error)
    return str(explain(error, context.store, "Talking to the store"))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
