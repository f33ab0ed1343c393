"""The files of reports, and the links between them."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest

from personal_pipeline.outputs import folder
from personal_pipeline.outputs.folder import AFTER, BEFORE, keep

TODAY = "2026-11-21.html"


def page(words: str) -> str:
    return f"<p>{words}</p>{BEFORE}{BEFORE}{AFTER}{AFTER}"


def links(path: Path) -> list[str]:
    return re.findall(r'href="([^"]+)"', path.read_text("utf-8"))


def test_a_report_is_written_whole_under_two_names(tmp_path: Path) -> None:
    path = keep("<p>é</p>", tmp_path / "reports", TODAY)
    assert path == tmp_path / "reports" / TODAY
    assert path.read_text("utf-8") == "<p>é</p>"
    assert sorted(each.name for each in path.parent.iterdir()) == [TODAY, "latest.html"]
    assert (path.parent / "latest.html").read_text("utf-8") == "<p>é</p>"


def test_a_reader_keeps_what_it_opened(tmp_path: Path) -> None:
    path = keep("old", tmp_path, TODAY)
    with path.open() as reader, (tmp_path / "latest.html").open() as latest_reader:
        keep("new", tmp_path, TODAY)
        assert reader.read() == "old"
        assert latest_reader.read() == "old"
    assert path.read_text() == "new"


def test_a_failure_leaves_what_was_there_and_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("old", tmp_path, TODAY)
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == "latest.html":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"latest\.html"):
        keep("new", tmp_path, TODAY)
    assert (tmp_path / TODAY).read_text() == "new"
    assert (tmp_path / "latest.html").read_text() == "old"
    assert sorted(each.name for each in tmp_path.iterdir()) == [TODAY, "latest.html"]


def test_only_the_most_recent_day_is_the_latest(tmp_path: Path) -> None:
    keep("today", tmp_path, TODAY)
    keep("past", tmp_path, "2026-03-01.html")
    keep("month", tmp_path, "2026-12.html")
    keep("year", tmp_path, "2026.html")
    assert (tmp_path / "latest.html").read_text() == "today"
    assert (tmp_path / "2026-03-01.html").read_text() == "past"


def test_days_link_to_their_neighbours_whichever_is_written_first(tmp_path: Path) -> None:
    for name in ("2026-11-19.html", TODAY, "2026-11-20.html"):
        keep(page(name), tmp_path, name)
    assert links(tmp_path / "2026-11-19.html") == ["2026-11-20.html"]
    assert links(tmp_path / "2026-11-20.html") == ["2026-11-19.html", TODAY]
    assert links(tmp_path / TODAY) == ["2026-11-20.html"]
    assert links(tmp_path / "latest.html") == ["2026-11-20.html"]
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    keep(page("2026-11-20.html"), tmp_path, "2026-11-20.html")
    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_months_and_years_have_neighbours_of_their_own(tmp_path: Path) -> None:
    for name in ("2026-11-20.html", "2026-10.html", "2026-09.html", "2025.html", "2026.html"):
        keep(page(name), tmp_path, name)
    assert links(tmp_path / "2026-10.html") == ["2026-09.html"]
    assert links(tmp_path / "2026-09.html") == ["2026-10.html"]
    assert links(tmp_path / "2025.html") == ["2026.html"]
    assert links(tmp_path / "2026-11-20.html") == []
    assert "← September 2026" in (tmp_path / "2026-10.html").read_text("utf-8")


def test_old_mails_are_deleted_and_reports_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "KEPT_MAILS", 2)
    for number in range(10, 15):
        report = keep("x", tmp_path, f"2026-11-{number}.html")
        folder.keep_mail(report, b"mail")
        os.utime(folder.mail_of(report), (number, number))
    assert sorted(each.name for each in tmp_path.glob("*.eml")) == [
        "2026-11-13.eml",
        "2026-11-14.eml",
    ]
    assert len(list(tmp_path.glob("2026-*.html"))) == 5
