"""Names in configuration are names inside their folder, whatever they say."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.graph.partitions import partitions_from
from personal_pipeline.graph.raw import inbox_assets
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.names import NotInside, inside
from personal_pipeline.settings import Settings
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.invented_house import NOW, files

LEADING_OUT = ["..", "../thesis.txt", "statements/../../thesis.txt", "a/..", "/etc/passwd", "//x"]
NO_NAMES = ["", ".", "./", "a\0b", "\0"]


@pytest.mark.parametrize("name", LEADING_OUT + NO_NAMES)
def test_what_leads_out_or_is_no_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotInside):
        inside(tmp_path, name)


def test_names_inside_are_paths_there_whether_they_exist_or_not(tmp_path: Path) -> None:
    for name in ("a.csv", "statements/2026/a.csv", "a..b", "..a", " ", "~", "$HOME", "a\nb", "ä"):
        assert inside(tmp_path, name) == tmp_path / name


def test_a_link_leads_nowhere(tmp_path: Path) -> None:
    folder, outside = tmp_path / "inbox", tmp_path / "documents"
    for each in (folder / "real", outside):
        each.mkdir(parents=True)
    (outside / "thesis.txt").touch()
    (folder / "file").symlink_to(outside / "thesis.txt")
    (folder / "folder").symlink_to(outside)
    (folder / "gone").symlink_to(tmp_path / "nonesuch")
    (folder / "real" / "up").symlink_to("..")
    for name in ("file", "folder", "folder/thesis.txt", "gone", "real/up", "real/up/file"):
        with pytest.raises(NotInside, match="link"):
            inside(folder, name)
    # where the person keeps the folder itself is the person's affair
    (tmp_path / "elsewhere").symlink_to(folder)
    assert inside(tmp_path / "elsewhere", "real") == tmp_path / "elsewhere" / "real"


def test_a_refusal_shows_no_control_character_and_has_an_end(tmp_path: Path) -> None:
    with pytest.raises(NotInside) as refused:
        inside(tmp_path, "../\x1b[31m\n" + "x" * 5000)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


@given(name=st.text(st.sampled_from("./\\a\0 ~:"), max_size=12))
def test_whatever_is_named_lies_below_the_folder(name: str) -> None:
    folder = Path("/nonesuch/inbox")
    try:
        path = inside(folder, name)
    except NotInside:
        return
    assert path != folder
    assert Path(*path.parts[:3]) == folder
    assert ".." not in path.parts


@pytest.mark.parametrize("named", ["absolute", "../documents", "link", "linked/thesis.txt", ""])
def test_a_run_that_names_files_elsewhere_fails_and_takes_nothing(named: str, home: Home) -> None:
    documents = home.root / "documents"
    documents.mkdir()
    thesis = documents / "thesis.txt"
    thesis.write_text("years of work")
    (home.inbox / "link").symlink_to(thesis)
    (home.inbox / "linked").symlink_to(documents)
    (home.inbox / "waits.txt").write_text("nobody knows this")
    before = files(documents, home.inbox, home.quarantine, home.archive)
    house = House(Settings(), home, SOURCES, clock=lambda: NOW)
    asked = ["waits.txt", str(thesis) if named == "absolute" else named]
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            [inbox_assets(SOURCES, partitions_from(NOW.date()), house)],
            instance=instance,
            resources={"house": house},
            run_config={"ops": {"ingest_inbox": {"config": {"files": asked}}}},
            raise_on_error=False,
        )
        (failure,) = done.filter_events(lambda event: event.is_step_failure)
    assert not done.success
    error = failure.step_failure_data.error
    assert error is not None
    assert "names in inbox/; nothing was ingested" in error.message
    assert files(documents, home.inbox, home.quarantine, home.archive) == before
