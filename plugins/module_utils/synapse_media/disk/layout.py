# Copyright: (c) 2026, matrix_ops.synapse_s3 contributors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where Synapse keeps media and thumbnails below media_store_path; keys in S3 are the same paths behind the prefix."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

LOCAL = "local"
REMOTE = "remote"

LOCAL_CONTENT = "local_content"
LOCAL_THUMBNAILS = "local_thumbnails"
REMOTE_CONTENT = "remote_content"
REMOTE_THUMBNAILS = "remote_thumbnail"  # singular, as Synapse has it
# Never in S3, by Synapse's design; still a sign that a directory is a media store.
URL_CACHE = "url_cache"
URL_CACHE_THUMBNAILS = "url_cache_thumbnails"

OFFLOADED_DIRECTORIES = (LOCAL_CONTENT, LOCAL_THUMBNAILS, REMOTE_CONTENT, REMOTE_THUMBNAILS)
FIRST_LEVEL = (*OFFLOADED_DIRECTORIES, URL_CACHE, URL_CACHE_THUMBNAILS)
# A file by which a media store is known even where nothing of it is on the disk any more.
MARK_NAME = ".synapse-s3"
# Below the prefix in the bucket, and no part of Synapse's layout: what garbage collection has put aside.
TRASH_FOLDER = "synapse-s3-trash/"


class Media(NamedTuple):
    """One media as the disk knows it; the origin of local media is empty."""

    kind: str
    origin: str
    filesystem_id: str


def checksum_of_name(media: Media) -> int:
    """32 bits that are the same on every host and in every run, and equally distributed."""
    name = f"{media.kind}/{media.origin}/{media.filesystem_id}"
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


def _parts(filesystem_id: str) -> tuple[str, str, str]:
    return filesystem_id[:2], filesystem_id[2:4], filesystem_id[4:]


def content_path(media: Media) -> str:
    """The original's path, relative to the media store."""
    if media.kind == LOCAL:
        return "/".join((LOCAL_CONTENT, *_parts(media.filesystem_id)))
    return "/".join((REMOTE_CONTENT, media.origin, *_parts(media.filesystem_id)))


def thumbnail_directory(media: Media) -> str:
    if media.kind == LOCAL:
        return "/".join((LOCAL_THUMBNAILS, *_parts(media.filesystem_id)))
    return "/".join((REMOTE_THUMBNAILS, media.origin, *_parts(media.filesystem_id)))


def thumbnail_name(width: object, height: object, content_type: object, method: object) -> str | None:
    """The name of the file as Synapse makes it of a row of its thumbnail tables; None for a row it makes none of."""
    if not (isinstance(width, int) and isinstance(height, int) and isinstance(content_type, str)):
        return None
    main, slash, sub = content_type.partition("/")
    name = f"{width}-{height}-{main}-{sub}-{method}"
    return name if slash and _is_component(name) else None


def earlier_thumbnail_path(path: str) -> str:
    """Where early releases of Synapse kept the same thumbnail of remote media: without the method."""
    return path.rpartition("-")[0]


def media_at(path: str) -> Media:
    """The media that a path of Synapse's layout belongs to (see is_media_path)."""
    first, *names = path.split("/")
    if first in (REMOTE_CONTENT, REMOTE_THUMBNAILS):
        return Media(REMOTE, names[0], "".join(names[1:4]))
    return Media(LOCAL, "", "".join(names[:3]))


def is_ordinary(media: Media) -> bool:
    """Whether the paths are such as Synapse makes: below the media store, a file of its own. Rows can say anything."""
    if media.kind not in (LOCAL, REMOTE) or (media.kind == REMOTE) != bool(media.origin):
        return False
    components = [*_parts(media.filesystem_id), *([media.origin] if media.origin else [])]
    return all(_is_component(component) for component in components)


def is_media_path(path: str) -> bool:
    """Whether a path below the media store is where Synapse keeps an original or a thumbnail."""
    first, *names = path.split("/")
    levels = {LOCAL_CONTENT: 3, LOCAL_THUMBNAILS: 4, REMOTE_CONTENT: 4, REMOTE_THUMBNAILS: 5}
    if len(names) != levels.get(first) or not all(_is_component(name) for name in names):
        return False
    pairs = names[1:3] if first in (REMOTE_CONTENT, REMOTE_THUMBNAILS) else names[:2]
    return all(len(pair) == 2 for pair in pairs)


def _is_component(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and name.isprintable()


def media_on_disk(root: str) -> Iterator[Media]:
    """Each media with an original or a thumbnail in the media store; one with both may come twice. Follows no link."""
    for media in _media_on_disk(root):
        # A name that is not UTF-8, say, is nothing that Synapse made and nothing a row could name.
        if is_ordinary(media):
            yield media


def _media_on_disk(root: str) -> Iterator[Media]:
    holds_media = {
        LOCAL_CONTENT: _is_file,
        LOCAL_THUMBNAILS: _holds_files,
        REMOTE_CONTENT: _is_file,
        REMOTE_THUMBNAILS: _holds_files,
    }
    for first in _directories(root):
        if first.name in (LOCAL_CONTENT, LOCAL_THUMBNAILS):
            for filesystem_id in _media_below(first.path, holds_media[first.name]):
                yield Media(LOCAL, "", filesystem_id)
        elif first.name in (REMOTE_CONTENT, REMOTE_THUMBNAILS):
            for origin in _directories(first.path):
                for filesystem_id in _media_below(origin.path, holds_media[first.name]):
                    yield Media(REMOTE, origin.name, filesystem_id)


def _media_below(directory: str, holds_media: Callable[[os.DirEntry[str]], bool]) -> Iterator[str]:
    """The ids of what lies at AA/BB/REST below a directory."""
    for first in _directories(directory, 2):
        for second in _directories(first.path, 2):
            for leaf in _entries(second.path):
                if holds_media(leaf):
                    yield first.name + second.name + leaf.name


def _directories(directory: str, name_length: int | None = None) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(directory):
        if name_length in (None, len(entry.name)) and entry.is_dir(follow_symlinks=False):
            yield entry


def _entries(directory: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        # Synapse and upstream prune empty directories while this looks.
        return


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _holds_files(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and any(_is_file(below) for below in _entries(entry.path))
