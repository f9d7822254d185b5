# SPDX-FileCopyrightText: 2026 matrix_ops.synapse_s3 contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that the local links of a site and of Markdown files lead to a file and a heading: check_links.py SITE TREE.

Links to other hosts are left alone, so that the check needs no network. Prints a line for each link that leads nowhere,
and exits with 1 if there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

_IGNORED = {".cache", ".venv", ".git", ".ansible"}


class _Page(HTMLParser):
    """Links and anchors of a page of the site."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name == "href" or (tag in ("img", "script") and name == "src"):
                self.links.append(value)


def _tokens(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _tokens(token.children or [])


def _slug(heading: str) -> str:
    """The anchor that code hosts give to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class _Document:
    """Links and anchors of a Markdown file."""

    def __init__(self, text: str) -> None:
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        self.links = [str(token.attrs["href"]) for token in _tokens(tokens) if token.type == "link_open"]
        self.anchors: set[str] = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
        for opening, inline in zip(tokens, tokens[1:]):
            if opening.type == "heading_open":
                words = "".join(child.content for child in inline.children or [])
                self.anchors.add(_slug(words))


def _broken(root: Path, pages: dict[Path, _Page | _Document]) -> Iterator[str]:
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            name = path.relative_to(root)
            if not target.exists():
                yield f"{name}: {link}: no such file"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                yield f"{name}: {link}: no such heading"


def main() -> int:
    site, tree = (Path(argument).resolve() for argument in sys.argv[1:3])
    html: dict[Path, _Page | _Document] = {path: _Page(path.read_text()) for path in sorted(site.rglob("*.html"))}
    markdown: dict[Path, _Page | _Document] = {
        path: _Document(path.read_text())
        for path in sorted(tree.rglob("*.md"))
        # The pages of docs/ link to generated pages, and are checked as a part of the site.
        if not _IGNORED.intersection(path.relative_to(tree).parts) and path.parent != tree / "docs"
    }
    broken = [*_broken(site, html), *_broken(tree, markdown)]
    for line in broken:
        print(line)
    print(f"{len(html)} pages, {len(markdown)} Markdown files, {len(broken)} links that lead nowhere")
    return 1 if broken or not html else 0


if __name__ == "__main__":
    sys.exit(main())
