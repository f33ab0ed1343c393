"""Medium's account export: a zip of web pages, one per post, without statistics.

Pages carry microformats (``article.h-entry``, ``h1.p-name``, ``section.e-content``). What surprised
the author: nothing in the zip marks a response. A draft has no ``time.dt-published``; a response
has one, but its title is only its own first words, and no heading repeats it. Tags are missing from
newer exports. A page's name ends in the post's id, 10 to 12 hex digits.

The zip also contains addresses and sessions (``ips``, ``sessions``): those folders are counted, and
never read. Nothing is unpacked to disk.
"""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import lxml.etree
import lxml.html

from personal_pipeline.ingest.archives import DAMAGED_ZIP
from personal_pipeline.ingest.contract import (
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Record,
    Unreadable,
    UnreadableFile,
)

MAX_PAGE_BYTES = 50_000_000

_ZIP_ERRORS = (*DAMAGED_ZIP, OSError, OverflowError)

_MEDIUM_NAME = re.compile(rb"(?:posts|claps|bookmarks|profile|highlights)/[^/\x00]{1,200}\.html")
_ID_IN_NAME = re.compile(r"(?:^|[-_])([0-9a-f]{10,12})$")
_ID_IN_LINK = re.compile(r"/p/([0-9a-f]+)/?(?:[?#].*)?$")
_ID_IN_CANONICAL = re.compile(r"[-/]([0-9a-f]{8,16})/?(?:[?#].*)?$")

_GRAF = "contains(concat(' ', normalize-space(@class), ' '), ' graf ')"
_HEADINGS = {"h1", "h2", "h3", "h4"}


class _BrokenPage(Exception):
    """A page of the export that cannot be read. The message says what was expected, without
    values."""


@dataclass(frozen=True, slots=True)
class _Member:
    """A file in the zip: its folder within the export, and its name there."""

    folder: str
    name: str
    info: zipfile.ZipInfo


@dataclass(frozen=True, slots=True)
class _Block:
    """A paragraph, heading, quotation, list item, code block or caption of a post."""

    tag: str
    is_title: bool
    text: str


def recognise_export(file: DropFile) -> Claim | None:
    """Whether the file is a zip with pages of a Medium export, or a single such page."""
    try:
        head = file.head()
    except OSError:
        return None
    if not head.startswith(b"PK"):
        if b'class="h-entry"' in head and b'data-field="body"' in head:
            return Claim(0.5, "a single page of a Medium account export")
        return None
    try:
        with zipfile.ZipFile(file.path) as archive:
            pages = [member for member in _members(archive) if _is_page(member)]
            if any(_looks_like_medium(archive, page) for page in pages[:20]):
                return Claim(0.95, "a zip with the pages of a Medium account export")
    except _ZIP_ERRORS:
        if _MEDIUM_NAME.search(head):
            return Claim(0.4, "begins like a Medium account export, but the zip is damaged")
    return None


def _looks_like_medium(archive: zipfile.ZipFile, page: _Member) -> bool:
    try:
        with archive.open(page.info) as stream:
            start = stream.read(65_536)
    except _ZIP_ERRORS:
        return False
    return b"h-entry" in start or (b"h-card" in start and b"medium.com" in start)


def read_export(file: DropFile) -> Iterator[DropRow | Unreadable]:
    """One row per post, draft and response, one for the profile, and the pages that failed.

    Raises ``UnreadableFile`` when the zip is damaged, or none of its pages can be read.
    """
    captured = file.captured_at.astimezone(UTC).date()
    if not file.head(2).startswith(b"PK"):
        raise UnreadableFile(
            "Medium export: this is a single page, not the export. Put the whole zip that Medium "
            "mailed into the inbox; if the browser unpacked it, the whole folder."
        )
    rows: list[DropRow] = []
    unreadable: list[Unreadable] = []
    try:
        with zipfile.ZipFile(file.path) as archive:
            members = _members(archive)
            ids: set[str] = set()
            for member in members:
                if not _is_page(member) or member.folder != "posts":
                    continue
                try:
                    record = read_post(_content(archive, member), member.name)
                except _BrokenPage as broken:
                    raw = {"file": member.info.filename, "page": _raw(archive, member)}
                    unreadable.append(Unreadable(f"a page in posts/: {broken}", raw))
                    continue
                if record["post_id"] in ids:
                    record["post_id"] += f"/{member.name.rpartition('.')[0]}"
                ids.add(record["post_id"])
                published = record["published_at"]
                day = date.fromisoformat(published[:10]) if published else captured
                rows.append(
                    DropRow("account_export", day.replace(day=1), record["post_id"], record)
                )
            profile = _profile(archive, members, unreadable)
    except _ZIP_ERRORS:
        raise UnreadableFile(
            "Medium export: the zip is damaged or incomplete. Download it again from the link that "
            "Medium mailed."
        ) from None
    if not rows and not profile:
        raise UnreadableFile(
            "Medium export: no page in posts/ or profile/ can be read. Expected pages with "
            '<article class="h-entry">; docs/sources/medium.md explains how to request the '
            "export."
        )
    yield from rows
    folders = dict(sorted(Counter(member.folder for member in members).items()))
    yield DropRow(
        "account_profile",
        captured.replace(day=1),
        str(captured),
        {"captured_on": str(captured), **_PROFILE_FIELDS, **profile, "files": folders},
    )
    yield from unreadable


def _members(archive: zipfile.ZipFile) -> list[_Member]:
    """The files of the export by name. A single folder around everything is skipped."""
    paths = [
        (info.filename.replace("\\", "/").split("/"), info)
        for info in archive.infolist()
        # is_dir itself raises on an empty name
        if info.filename and not info.is_dir()
    ]
    members = []
    for parts, info in sorted(paths, key=lambda path: path[0]):
        # added by macOS when a user zips a folder again
        if parts[0] == "__MACOSX" or parts[-1].startswith("."):
            continue
        inner = parts[1:] if len(parts) == 3 else parts
        if len(inner) == 2:
            members.append(_Member(inner[0].lower(), inner[1], info))
    return members


def _is_page(member: _Member) -> bool:
    return member.folder in ("posts", "profile") and member.name.lower().endswith(".html")


def _content(archive: zipfile.ZipFile, member: _Member) -> bytes:
    """The bytes of a page. Raises ``_BrokenPage`` when it is damaged or too large."""
    try:
        with archive.open(member.info) as stream:
            # the size in the directory may be false
            content = stream.read(MAX_PAGE_BYTES + 1)
    except _ZIP_ERRORS:
        raise _BrokenPage("damaged in the zip; download the export again") from None
    if len(content) > MAX_PAGE_BYTES:
        raise _BrokenPage(f"larger than {MAX_PAGE_BYTES:,} bytes")
    return content


def _raw(archive: zipfile.ZipFile, member: _Member) -> str | None:
    try:
        return _content(archive, member).decode(errors="replace")
    except _BrokenPage:
        return None


def _parsed(content: bytes) -> Any:
    parser = lxml.html.HTMLParser(encoding="utf-8", huge_tree=True)
    try:
        return lxml.html.document_fromstring(content, parser=parser)
    except (lxml.etree.LxmlError, ValueError):
        raise _BrokenPage("expected HTML") from None


def _plain(text: str | None) -> str | None:
    """Text with whitespace collapsed, including non-breaking spaces; None when it is empty."""
    return " ".join((text or "").split()) or None


def _text_of(place: Any, path: str) -> str | None:
    found = place.xpath(path)
    return _plain(found[0].text_content()) if found else None


def read_post(content: bytes, name: str) -> Record:
    """The record of one page in ``posts/``. Raises ``_BrokenPage`` when it is not a complete post.

    ``published_at`` is ISO 8601 UTC, None for a draft. ``word_count`` counts the words of
    ``body_text``, which leaves out the title where the body repeats it.
    """
    page = _parsed(content)
    articles = page.xpath("//article[contains(@class, 'h-entry')]")
    if not articles:
        raise _BrokenPage('expected an <article class="h-entry">')
    article = articles[0]
    bodies = article.xpath(".//section[@data-field='body']")
    if not bodies:
        raise _BrokenPage('expected a <section data-field="body">')
    stem = name.rpartition(".")[0]
    # without its footer a published post would pass for a draft
    if not article.xpath(".//footer") and not stem.startswith("draft"):
        raise _BrokenPage("is truncated before its <footer>")
    canonical = next(
        iter(article.xpath(".//footer//a[contains(@class, 'p-canonical')]/@href")), None
    )
    title = _text_of(article, ".//h1[contains(@class, 'p-name')]")
    subtitle = _text_of(article, ".//section[@data-field='subtitle']")
    tags = [
        tag
        for element in article.xpath(".//footer//a[contains(@class, 'p-tag')]")
        if (tag := _plain(element.text_content()))
    ]
    published = _published(article)
    blocks = _blocks(bodies[0])
    body = [block.text for block in blocks if not block.is_title]
    return {
        "post_id": _post_id(article, stem, canonical),
        "kind": _kind(published, title, subtitle, tags, blocks),
        "title": title,
        "subtitle": subtitle,
        "published_at": published,
        "author": _text_of(article, ".//footer//a[contains(@class, 'p-author')]"),
        "tags": tags,
        "canonical_url": canonical,
        "word_count": sum(len(text.split()) for text in body),
        "image_count": len(bodies[0].xpath(".//img")),
        "body_text": "\n\n".join(body),
        "file": name,
    }


def _published(article: Any) -> str | None:
    times = article.xpath(".//footer//time[contains(@class, 'dt-published')]")
    if not times:
        return None
    try:
        moment = datetime.fromisoformat(times[0].get("datetime", ""))
        if moment.tzinfo is None:
            raise ValueError
        text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise _BrokenPage("time.dt-published: expected an ISO 8601 time with its zone") from None
    return text.replace("+00:00", "Z")


def _post_id(article: Any, stem: str, canonical: str | None) -> str:
    if match := _ID_IN_NAME.search(stem):
        return match[1]
    for link in article.xpath(".//footer//a/@href"):
        if match := _ID_IN_LINK.search(link):
            return match[1]
    if canonical and (match := _ID_IN_CANONICAL.search(canonical)):
        return match[1]
    raise _BrokenPage("no post id at the end of its name, in its links or in a.p-canonical")


def _blocks(body: Any) -> list[_Block]:
    """The blocks of a body that contain text, in order."""
    for line_break in body.iter("br"):
        line_break.tail = "\n" + (line_break.tail or "")
    blocks = []
    for element in body.xpath(f".//*[{_GRAF} and not(ancestor::*[{_GRAF}])]") or [body]:
        text = element.text_content()
        text = text.strip("\n") if element.tag == "pre" else _plain(text)
        if text and text.strip():
            is_title = "graf--title" in (element.get("class") or "").split()
            blocks.append(_Block(element.tag, is_title, text))
    return blocks


def _kind(
    published: str | None,
    title: str | None,
    subtitle: str | None,
    tags: list[str],
    blocks: list[_Block],
) -> str:
    """``story``, ``draft`` or ``response``.

    A published text is a response when it looks like one in every way: no tags, no heading at the
    top, a title that is its own first words, and no subtitle other than its own words.
    """
    if published is None:
        return "draft"
    if tags or any(block.is_title for block in blocks):
        return "story"
    if blocks and blocks[0].tag in _HEADINGS:
        return "story"
    text = " ".join(" ".join(block.text.split()) for block in blocks)
    begins_with_title = text.startswith(_opening(title))
    own_words = _opening(subtitle) in text
    return "response" if begins_with_title and own_words else "story"


def _opening(text: str | None) -> str:
    """A text that Medium made from the first words of another, without the ellipsis."""
    return (text or "").rstrip("….").rstrip()


_PROFILE_FIELDS: Record = {
    "username": None,
    "display_name": None,
    "email_address": None,
    "medium_user_id": None,
    "created_at": None,
    "membership": None,
    "fields": {},
}


def _profile(
    archive: zipfile.ZipFile, members: list[_Member], unreadable: list[Unreadable]
) -> Record:
    """The fields of ``profile/profile.html``; empty when there is no readable one."""
    for member in members:
        if member.folder == "profile" and member.name.lower() == "profile.html":
            try:
                return read_profile(_content(archive, member))
            except _BrokenPage as broken:
                raw = {"file": member.info.filename, "page": _raw(archive, member)}
                unreadable.append(Unreadable(f"profile/profile.html: {broken}", raw))
    return {}


def read_profile(content: bytes) -> Record:
    """The labelled values of the profile page. ``created_at`` is text as Medium shows it, such as
    ``2014-01-20 5:19 pm``, in an unspecified time zone. Raises ``_BrokenPage``."""
    cards = _parsed(content).xpath("//section[contains(@class, 'h-card')]")
    if not cards:
        raise _BrokenPage('expected a <section class="h-card">')
    fields: dict[str, str] = {}
    for item in cards[0].xpath(".//li[b]"):
        label = (_plain(item.xpath("./b")[0].text_content()) or "").rstrip(":")
        shown = _plain(item.text_content()) or ""
        fields.setdefault(label, shown.removeprefix(f"{label}:").strip())
    membership = [
        _plain(heading.tail)
        for heading in cards[0].xpath(".//h4")
        if _plain(heading.text_content()) == "Membership"
    ]
    return {
        "username": (fields.get("Profile") or "").removeprefix("@") or None,
        "display_name": fields.get("Display name") or _text_of(cards[0], ".//*[@class='p-name']"),
        "email_address": fields.get("Email address"),
        "medium_user_id": fields.get("Medium user ID"),
        "created_at": fields.get("Created at"),
        "membership": membership[0] if membership else None,
        "fields": fields,
    }


ACCOUNT_EXPORT = Drop(
    name="account_export",
    description="the account export of Medium, a zip of web pages",
    how_to=(
        "1. Log in to Medium, open https://medium.com/me/settings and choose Security and apps.\n"
        "2. Choose “Download your information” and confirm. Medium mails a link.\n"
        "3. Download the zip from that link and put it into the inbox as it is, or the whole "
        "folder if the browser unpacked it."
    ),
    recognise=recognise_export,
    read=read_export,
    streams=(
        DropStream(
            name="account_export",
            description=(
                "One row is a story, a draft or a response of the newest export, with its text. "
                "Filed under the month of publication (UTC), a draft under that of the export."
            ),
            coverage=Coverage.FULL,
        ),
        DropStream(
            name="account_profile",
            description=(
                "One row is one export: the profile as it was on that UTC day, and how many files "
                "the export holds in each folder."
            ),
        ),
    ),
)
