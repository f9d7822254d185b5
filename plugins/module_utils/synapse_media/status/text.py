# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A status for people, in the shape of `zpool status`, and in one line for a monitoring plugin."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from ..audit import counts
from ..audit.counts import KINDS, ORIGINALS, Finding, date_of
from ..settings.units import in_words
from .report import CRITICAL, FULL_PERCENT, NOT_KNOWN, OK, WARNING, Status

_LABELS = {
    counts.DISK_ONLY: "only on the disk",
    counts.EQUAL: "on both, same length",
    counts.DIFFERENT: "on both, different",
    counts.BUCKET_ONLY: "only in the bucket",
    counts.NOWHERE: "nowhere",
    counts.AWAITED: "not uploaded yet",
    counts.UNASKED: "not known",
    counts.ORPHAN_DISK: "no row, on the disk",
    counts.ORPHAN_BUCKET: "no row, in the bucket",
    counts.NEW: "no row yet, new",
    counts.URL_CACHE: "URL previews",
    counts.FOREIGN_BUCKET: "not Synapse's, in the bucket",
    counts.TRASH: "in the trash of gc",
    counts.WRONG_LENGTH: "(of these) wrong length",
    counts.ARCHIVED: "(of these) archived",
}
_ALWAYS = (counts.DISK_ONLY, counts.EQUAL, counts.BUCKET_ONLY, counts.NOWHERE)
_NAMED = (counts.NOWHERE, counts.WRONG_LENGTH, counts.DIFFERENT, counts.ARCHIVED)
_HEADS = ("local", "thumbnails", "remote", "thumbnails", "bytes", "oldest")
_WIDTH = 100
_INDENT = 10
_LEFT_ASIDE = {
    "symlink": "links",
    "special": "special files",
    "unusable_name": "not of Synapse's layout",
    "unreadable_directory": "directories that cannot be read",
}


def full_report(status: Status) -> dict[str, Any]:
    """Everything, for programs and for people."""
    return {**status.as_dict(), "report": report(status)}


def report(status: Status) -> str:
    """The report, which ends in a line break."""
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: Status) -> Iterator[str]:
    yield from _field("media", status.media_path or "not known")
    yield from _field("bucket", f"{status.location}; {_rights(status)}")
    yield from _field("state", status.state)
    for reason in status.reasons:
        yield from _field("why", reason.text)
        if reason.action:
            yield from _field("do", reason.action)
        yield from _field("see", reason.see)
    yield from _field("run", _last_run(status))
    yield from _field("next", _next_run(status))
    yield from _field("would", _would(status))
    yield from _field("disk", _disk(status))
    yield from _field("provider", ", ".join(status.providers) or "none for media")
    if status.job.image:
        changed = "changed since" if status.job.image_changed else "is what the image in use was built from"
        yield from _field("image", f"{status.job.image} {changed}")
    yield ""
    yield from _table(status)
    yield from _remarks(status)
    yield from _examples(status)
    if status.usage is not None:
        yield ""
        yield from usage_lines(status.usage)
    elif status.usage_problem is not None:
        yield from _field("usage", status.usage_problem)
    yield ""
    yield from _field("errors", _errors(status))


def _field(name: str, value: str) -> list[str]:
    return textwrap.wrap(
        value,
        _WIDTH,
        initial_indent=f"{name:>{_INDENT - 2}}: ",
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _rights(status: Status) -> str:
    listed = "bucket" not in status.audit.failures
    if not listed:
        return "could not be listed"
    read = {True: "objects can be read", False: "objects cannot be read", None: "reading was not tried"}[
        status.audit.readable
    ]
    return f"listed; {read}; writing was not tried"


def _last_run(status: Status) -> str:
    job = status.job
    if not job.known:
        return "not known: systemd could not be asked"
    if job.running:
        return f"under way since {_time(job.last_started)}" if job.last_started else "under way"
    if job.last_started is None:
        return "none since the host was started"
    result = "failed" if job.last_run_failed else "succeeded"
    return f"{result}, {_time(job.last_started)} to {_time(job.last_ended)}"


def _next_run(status: Status) -> str:
    job = status.job
    if not job.known:
        return "not known"
    if not job.has_timer:
        return "no timer"
    if not job.timer_active:
        return "the timer is not active"
    return _time(job.next_run) if job.next_run is not None else "when the run that is under way has ended"


def _time(seconds: float | None) -> str:
    return (date_of(seconds) if seconds is not None else None) or "an unknown time"


def _would(status: Status) -> str:
    compared = status.audit.comparison
    words = (
        f"a run would move {compared.due.files} files ({in_words(compared.due.bytes)}): upload "
        f"{compared.due_upload.files}, verify {compared.due_present.files} that the bucket has"
    )
    if compared.due_conflict.files:
        words += f", decide on {compared.due_conflict.files} that differ"
    if compared.stays:
        stays = ", ".join(f"{tally.files} {reason}" for reason, tally in sorted(compared.stays.items()))
        words += f"; and leave {stays}"
    if status.not_considered:
        words += f"; without regard to {', '.join(status.not_considered)}, which a dry run of the migrate job considers"
    return words


def _disk(status: Status) -> str:
    disk = status.disk
    if disk.size is None or disk.free is None:
        return "not known"
    return f"{disk.percent} % of {in_words(disk.size)} used, {in_words(disk.free)} free"


def _table(status: Status) -> Iterator[str]:
    width = max(len(label) for label in _LABELS.values())
    yield f"{'files':<{width}} {_columns(_HEADS)}"
    for name, label in _LABELS.items():
        finding = status.audit.findings[name]
        if finding.files or name in _ALWAYS:
            yield f"{label:<{width}} {_columns(_cells(finding))}".rstrip()


def _columns(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:>{12 if position < 4 else 10}}" for position, cell in enumerate(cells))


def _cells(finding: Finding) -> list[str]:
    facts = finding.as_dict()
    oldest = (facts["oldest"] or "-")[:10]
    if any(kind not in KINDS for kind in finding.kinds):
        return [str(finding.files), "", "", "", in_words(finding.bytes), oldest]
    return [*(str(finding.files_of(kind)) for kind in KINDS), in_words(finding.bytes), oldest]


def _remarks(status: Status) -> Iterator[str]:
    audit = status.audit
    left = [f"{facts['files']} {_LEFT_ASIDE[reason]}" for reason, facts in audit.left.items() if facts["files"]]
    if left:
        yield from _field("aside", f"on the disk were left aside: {', '.join(left)}")
    if not audit.knows_thumbnails and "database" not in audit.failures:
        yield from _field("note", "the thumbnail tables cannot be read, so lost thumbnails are not counted")
    lost = audit.findings[counts.NOWHERE]
    thumbnails = lost.files - lost.files_of(*ORIGINALS)
    if thumbnails:
        yield from _field("note", f"Synapse makes the {thumbnails} thumbnails that are nowhere anew when it needs them")
    if audit.unusable_rows:
        yield from _field("note", f"{audit.unusable_rows} rows name no path that Synapse could have made")
    if audit.comparison.unconfirmed:
        yield from _field(
            "note", f"{audit.comparison.unconfirmed} findings beyond the first thousands were not looked at again"
        )


def _examples(status: Status) -> Iterator[str]:
    for name in _NAMED:
        finding = status.audit.findings[name]
        if finding.files_of(*ORIGINALS):
            yield ""
            yield f"{_LABELS[name]}, such as:"
            for path in finding.as_dict()["examples"]:
                yield f"  {path}"


def usage_lines(usage: dict[str, list[dict[str, object]]]) -> Iterator[str]:
    """What the rows say of who uses how much."""
    for heading, rows in usage.items():
        yield f"by {heading.replace('_', ' ')}"
        for row in rows:
            size = row["bytes"]
            words = in_words(size) if isinstance(size, int) else "-"
            yield f"  {str(row['name'])[:50]:<50} {row['files']:>10} files {words:>10}"


def _errors(status: Status) -> str:
    if status.exit_status == NOT_KNOWN or status.audit.failures:
        return "not everything could be asked, so nothing is said of what could not"
    lost = status.audit.findings[counts.NOWHERE].files_of(*ORIGINALS)
    damaged = status.audit.findings[counts.WRONG_LENGTH].files
    if lost or damaged:
        return f"{lost} media lost, {damaged} damaged"
    return "No known lost media"


_WORDS = {OK: "OK", WARNING: "WARNING", CRITICAL: "CRITICAL", NOT_KNOWN: "UNKNOWN"}


def check_line(status: Status) -> str:
    """The line of a monitoring plugin, with its performance data."""
    findings = status.audit.findings
    reasons = status.reasons
    words = " ".join(reason.text for reason in reasons[:3]) if reasons else "no known lost media"
    due = status.audit.comparison.due
    data = {
        "lost": f"{findings[counts.NOWHERE].files_of(*ORIGINALS)};;0",
        "damaged": f"{findings[counts.WRONG_LENGTH].files};;0",
        "different": f"{findings[counts.DIFFERENT].files};0",
        "not_known": str(findings[counts.UNASKED].files),
        "disk_only": str(findings[counts.DISK_ONLY].files),
        "both": str(findings[counts.EQUAL].files),
        "bucket_only": str(findings[counts.BUCKET_ONLY].files),
        "orphans": str(findings[counts.ORPHAN_DISK].files + findings[counts.ORPHAN_BUCKET].files),
        "due": str(due.files),
        "due_bytes": f"{due.bytes}B",
        "seconds": f"{status.audit.seconds:.1f}s",
    }
    if status.disk.percent is not None:
        data["disk_used"] = f"{status.disk.percent}%;{FULL_PERCENT}"
    # The bar separates the words from the data.
    words = words.replace("|", "/").replace("\n", " ")
    figures = " ".join(f"{name}={value}" for name, value in data.items())
    return f"SYNAPSE_S3 {_WORDS[status.exit_status]} - {words} | {figures}\n"
