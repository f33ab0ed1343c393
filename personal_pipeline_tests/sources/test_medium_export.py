"""Medium's account export: pages of a zip, kinds told apart, and what bad input gets."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropFile, DropRow, Unreadable, UnreadableFile
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources.medium import MEDIUM, export
from personal_pipeline.sources.medium.export import read_export, recognise_export
from personal_pipeline.sources.medium.stats import recognise_stats

CAPTURED = datetime(2026, 11, 3, 8, 30, tzinfo=UTC)

Zip = Callable[..., DropFile]


def post(
    title: str = "On Rain",
    body: str = '<h3 class="graf graf--h3 graf--title">On Rain</h3><p class="graf">It rains.</p>',
    *,
    subtitle: str | None = None,
    tags: tuple[str, ...] = (),
    published: str | None = "2026-10-02T23:30:00.123Z",
    story_id: str = "0123456789ab",
) -> str:
    link = f'<a href="https://medium.com/p/{story_id}">'
    tagged = ", ".join(f'<a class="p-tag" href="#">{tag}</a>' for tag in tags)
    by = 'By <a class="p-author h-card" href="https://medium.com/@ann">Ann</a> on '
    when = f'<time class="dt-published" datetime="{published}">a day</time></a>'
    section = f'<section data-field="subtitle" class="p-summary">{subtitle}</section>'
    return f"""<!DOCTYPE html><html><head>
<meta http-equiv="Content-Type" content="text/html; charset=utf-8"><title>{title}</title></head>
<body><article class="h-entry"><header><h1 class="p-name">{title}</h1></header>
{section if subtitle else ""}
<section data-field="body" class="e-content"><section class="section section--body">
<div class="section-inner">{body}</div></section></section>
<footer>{f'<p class="p-tags">Tagged in {tagged}</p>' if tags else ""}
<p>{by + link + when if published else link + "View original.</a>"}</p>
<p>Exported from <a href="https://medium.com">Medium</a> on November 3, 2026.</p>
</footer></article></body></html>"""


PROFILE = """<html><body><section class="h-card"><h3 class="p-name">Ann</h3><ul>
<li><b>Profile:</b> <a class="u-url" href="https://medium.com/@ann">@ann</a></li>
<li><b>Email address:</b> ann@example.com</li></ul></section></body></html>"""


@pytest.fixture
def make_zip(tmp_path: Path) -> Zip:
    def make_zip(files: Mapping[str, str | bytes], name: str = "export.bin") -> DropFile:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in files.items():
                archive.writestr(member, content)
        return DropFile(path, name, CAPTURED)

    return make_zip


def read(file: DropFile) -> tuple[dict[str, DropRow], DropRow, list[Unreadable]]:
    """Posts by key, the profile, and what could not be read."""
    claim = recognise_export(file)
    assert claim is not None
    assert claim.confidence > 0.9
    found = list(read_export(file))
    rows = [item for item in found if isinstance(item, DropRow)]
    json.dumps([row.record for row in rows], allow_nan=False)
    posts = {row.key: row for row in rows if row.stream == "account_export"}
    (profile,) = (row for row in rows if row.stream == "account_profile")
    return posts, profile, [item for item in found if isinstance(item, Unreadable)]


def only(make_zip: Zip, page: str, name: str = "x-0123456789ab") -> dict[str, Any]:
    posts, _, bad = read(make_zip({f"posts/{name}.html": page}))
    assert not bad
    (row,) = posts.values()
    return row.record


def test_a_story(make_zip: Zip) -> None:
    body = (
        '<h3 class="graf graf--h3 graf--title">On Rain</h3>'
        '<p class="graf graf--p">It&nbsp;rains <em>today</em>.</p>'
        '<pre class="graf graf--pre">one<br>  two</pre>'
        '<figure class="graf graf--figure"><img class="graf-image" src="a.png">'
        '<figcaption class="imageCaption">A cloud</figcaption></figure>'
        '<ul class="postList"><li class="graf graf--li">wet</li></ul>'
    )
    posts, _, bad = read(
        make_zip(
            {
                "posts/2026-10-02_On-Rain-0123456789ab.html": post(
                    body=body, subtitle="A study", tags=("Weather", "Life")
                )
            }
        )
    )
    assert not bad
    assert posts["0123456789ab"].month == date(2026, 10, 1)
    assert posts["0123456789ab"].record == {
        "post_id": "0123456789ab",
        "kind": "story",
        "title": "On Rain",
        "subtitle": "A study",
        "published_at": "2026-10-02T23:30:00.123Z",
        "author": "Ann",
        "tags": ["Weather", "Life"],
        "canonical_url": None,
        "word_count": 8,
        "image_count": 1,
        "body_text": "It rains today.\n\none\n  two\n\nA cloud\n\nwet",
        "file": "2026-10-02_On-Rain-0123456789ab.html",
    }


PARAGRAPHS = '<p class="graf graf--p">I agree with you, and more so.</p><p class="graf">Ann</p>'


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        (post(), "story"),
        (post(published=None), "draft"),
        (post("I agree", PARAGRAPHS, published=None), "draft"),
        (post("I agree with you, and more so.", PARAGRAPHS), "response"),
        (post("I agree with you, and…", PARAGRAPHS), "response"),
        (post("I agree with you, and more so. Ann", PARAGRAPHS), "response"),
        (post("I agree", PARAGRAPHS, subtitle="with you, and more so…"), "response"),
        (post("", '<figure class="graf"><img src="a.png"></figure>'), "response"),
        (post("I agree", PARAGRAPHS, tags=("Life",)), "story"),
        (post("I agree", PARAGRAPHS, subtitle="Why I changed my mind"), "story"),
        (post("On Rain", PARAGRAPHS), "story"),
        (post("Rain", '<h3 class="graf graf--h3">Rain</h3><p class="graf">It rains.</p>'), "story"),
        (post("Rain", '<h4 class="graf graf--h4 graf--title">Rain</h4>'), "story"),
    ],
)
def test_kinds_are_told_apart(make_zip: Zip, page: str, kind: str) -> None:
    assert only(make_zip, page)["kind"] == kind


def test_real_pages(make_zip: Zip, samples: Path) -> None:
    folder = samples / "medium"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    posts, profile, bad = read(
        make_zip(
            {str(page.relative_to(folder)): page.read_bytes() for page in folder.rglob("*.html")}
        )
    )
    assert not bad
    # two of these pages have the same links: they are one author's invented post, twice
    assert {key: row.record["kind"] for key, row in posts.items()} == {
        "abcd1234": "story",
        "abcd1234/code-post": "story",
        "a1b2c3d4e5f6": "response",
        "ababab12121212": "draft",
    }
    basic = posts["abcd1234"].record
    assert basic["title"] == "Basic Post Title"
    assert basic["tags"] == ["Things", "Stuff"]
    assert basic["published_at"] == "2018-08-11T11:23:34.123Z"
    assert basic["canonical_url"] == "https://medium.com/@JoeBloggs/testpost-efefef12121212"
    assert basic["word_count"] == 17
    assert "apt-get update\nsudo apt-get" in posts["abcd1234/code-post"].record["body_text"]
    assert posts["ababab12121212"].month == date(2026, 11, 1)
    assert posts["a1b2c3d4e5f6"].month == date(2024, 6, 1)
    assert profile.record == {
        "captured_on": "2026-11-03",
        "username": "username",
        "display_name": "User Name",
        "email_address": "name@email.com",
        "medium_user_id": "abcdef123456",
        "created_at": "2014-01-20 5:19 pm",
        "membership": "Became a Medium member at 2020-05-22 3:19 pm",
        "fields": profile.record["fields"],
        "files": {"posts": 4, "profile": 1},
    }
    assert profile.record["fields"]["Twitter account ID"] == "14099477"


@pytest.mark.parametrize("folder", ["", "medium-export-0a1b/"])
def test_folders_are_counted_and_only_two_are_read(make_zip: Zip, folder: str) -> None:
    files = {
        "posts/2026-10-02_x-0123456789ab.html": post(),
        "profile/profile.html": PROFILE,
        "profile/about.html": "<p>About</p>",
        "ips/ips-0001.html": "\x00 not to be read",
        "claps/claps-0001.html": "<p>",
        "claps/claps-0002.html": "<p>",
        "README.html": "<p>",
    }
    posts, profile, bad = read(
        make_zip(
            {folder + name: content for name, content in files.items()}
            | {"__MACOSX/posts/._x.html": b"\x00", f"{folder}posts/.DS_Store": b"\x00"}
        )
    )
    assert not bad
    assert posts.keys() == {"0123456789ab"}
    counts = {"claps": 2, "ips": 1, "posts": 1, "profile": 2}
    assert {name: profile.record["files"].get(name) for name in counts} == counts
    assert profile.record["username"] == "ann"
    assert profile.record["email_address"] == "ann@example.com"


@pytest.mark.parametrize(
    ("name", "page", "post_id"),
    [
        ("2026-10-02_On-Rain-aaaaaaaaaaaa", post(), "aaaaaaaaaaaa"),
        ("draft_-bbbbbbbbbb", post(published=None), "bbbbbbbbbb"),
        ("On-deadbeef", post(story_id="cccccccccccc"), "cccccccccccc"),
        (
            "On-Rain",
            post(published=None).replace(
                '<a href="https://medium.com/p/0123456789ab">View original.</a>',
                '<a class="p-canonical" href="https://ann.blog/on-rain-dddddddddddd">x</a>',
            ),
            "dddddddddddd",
        ),
    ],
)
def test_the_id_of_a_post(make_zip: Zip, name: str, page: str, post_id: str) -> None:
    assert only(make_zip, page, name)["post_id"] == post_id


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (b"", "expected HTML"),
        (b"\x00\x01\x02", "expected"),
        ("<html><p>Something else</p></html>", "<article"),
        (post().partition("<footer>")[0], "<footer>"),
        (post().partition("<section data-field")[0], "body"),
        (post(published="October 2"), "dt-published"),
        (post(published="2026-10-02T10:00:00"), "dt-published"),
        (post(story_id="?"), "no post id"),
    ],
)
def test_a_broken_page_does_not_stop_the_others(
    make_zip: Zip, page: str | bytes, says: str
) -> None:
    posts, _, bad = read(
        make_zip({"posts/a private title.html": page, "posts/x-0123456789ab.html": post()})
    )
    assert posts.keys() == {"0123456789ab"}
    assert len(bad) == 1
    assert says in bad[0].reason
    assert "private" not in bad[0].reason
    assert isinstance(bad[0].raw, dict)
    assert bad[0].raw["file"] == "posts/a private title.html"


def test_a_page_that_is_too_large_is_set_aside(
    make_zip: Zip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MAX_PAGE_BYTES", 10_000)
    bomb = post(body="<p class='graf'>" + "x" * 10_000)
    posts, _, bad = read(
        make_zip({"posts/a-aaaaaaaaaaaa.html": bomb, "posts/x-0123456789ab.html": post()})
    )
    assert posts.keys() == {"0123456789ab"}
    assert "larger than 10,000 bytes" in bad[0].reason


def test_a_damaged_page_in_a_sound_zip(make_zip: Zip) -> None:
    file = make_zip({"posts/a-aaaaaaaaaaaa.html": post(), "posts/x-0123456789ab.html": post()})
    content = bytearray(file.path.read_bytes())
    content[60:300] = bytes(240)
    file.path.write_bytes(content)
    posts, _, bad = read(file)
    assert posts.keys() == {"0123456789ab"}
    assert "damaged in the zip" in bad[0].reason


def test_a_broken_profile_is_counted(make_zip: Zip) -> None:
    _, profile, bad = read(
        make_zip({"posts/x-0123456789ab.html": post(), "profile/profile.html": "<p>?</p>"})
    )
    assert profile.record["email_address"] is None
    assert bad[0].reason.startswith("profile/profile.html: expected")


def test_a_zip_that_was_cut_off_is_unreadable_and_says_why(make_zip: Zip) -> None:
    file = make_zip({f"posts/x-{number:012x}.html": post() for number in range(9)})
    file.path.write_bytes(file.path.read_bytes()[:-400])
    assert recognise_export(file) is not None
    with pytest.raises(UnreadableFile, match="Download it again"):
        list(read_export(file))


def test_a_single_page_is_unreadable_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(post())
    file = DropFile(path, path.name, CAPTURED)
    assert recognise_export(file) is not None
    assert recognise_stats(file) is None
    with pytest.raises(UnreadableFile, match="the whole zip"):
        list(read_export(file))


def test_a_zip_without_one_good_page_is_unreadable(make_zip: Zip) -> None:
    file = make_zip({"posts/x.html": '<article class="h-entry">'})
    assert recognise_export(file) is not None
    with pytest.raises(UnreadableFile, match="no page"):
        list(read_export(file))


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"posts/hello.html": "<article>A blog of my own</article>"},
        {"apple_health_export/export.xml": "<HealthData/>"},
        {"posts/readme.md": "h-entry"},
        {"profile/profile.html": "<p>Some other service</p>"},
    ],
)
def test_other_zips_are_left_to_others(make_zip: Zip, files: dict[str, str]) -> None:
    assert recognise_export(make_zip(files, "medium-export-0a1b.zip")) is None


many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(file: DropFile) -> None:
    recognise_export(file)
    with suppress(UnreadableFile):
        for item in read_export(file):
            assert isinstance(item, DropRow | Unreadable)


@many
@given(content=st.binary(max_size=300), start=st.sampled_from([b"", b"PK", b"PK\x03\x04"]))
def test_bytes_never_raise_anything_else(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(start + content)
    survives(DropFile(path, path.name, CAPTURED))


@many
@given(data=st.data())
def test_a_damaged_zip_never_raises_anything_else(make_zip: Zip, data: st.DataObject) -> None:
    file = make_zip({"posts/x-0123456789ab.html": post(), "profile/profile.html": PROFILE})
    content = bytearray(file.path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    file.path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    survives(file)
    file.path.write_bytes(content)
    survives(file)


@many
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                *('<article class="h-entry">', "</article>", "<footer>", "</footer>", "<br>"),
                *('<section data-field="body">', "</section>", '<h1 class="p-name">', "</h1>"),
                *('<time class="dt-published" datetime="2026-10-02T10:00:00Z">', "<!-- x -->"),
                *('<p class="graf">', "</p>", "\x00", "\ud7ff", "text", "&#0;", "<?x?>", "<b"),
                *('<a class="p-canonical" href="https://x.y/z-0123456789ab">', "</a>", "<pre>"),
                *('<section class="h-card">', "<li><b>Email address:</b>", "</li>"),
            ]
        ),
        max_size=30,
    )
)
def test_odd_pages_never_raise_anything_else(make_zip: Zip, pieces: list[str]) -> None:
    page = "".join(pieces)
    survives(make_zip({"posts/x.html": page, "profile/profile.html": page}))


def test_the_newest_export_is_the_whole_picture(home: Home, make_zip: Zip) -> None:
    (stream,) = (each for each in MEDIUM.drop_streams if each.name == "account_export")
    lake = lake_of(home, "medium", stream)
    draft = post("A draft", published=None, story_id="bbbbbbbbbbbb")
    first = make_zip({"posts/x-0123456789ab.html": post(), "posts/draft_y.html": draft}, "1.zip")
    taken = ingest_file(home, (MEDIUM,), first.path, datetime.now(UTC))
    assert (taken.receipt.problem, taken.receipt.unreadable) == (None, 0)
    assert len([key for month in lake.partitions() for key in lake.read(month)]) == 2
    second = make_zip({"posts/x-0123456789ab.html": post(title="On Snow")}, "2.zip")
    ingest_file(home, (MEDIUM,), second.path, datetime.now(UTC))
    rows = [row for month in lake.partitions() for row in lake.read(month).values()]
    assert [row.record["title"] for row in rows] == ["On Snow"]
