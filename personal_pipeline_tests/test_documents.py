"""What stands beside the code says the same as the code: settings, sources, decisions, the lock."""

from __future__ import annotations

import re
import shutil
import tomllib
from itertools import zip_longest
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from personal_pipeline.ingest.contract import Source
from personal_pipeline.settings import load_settings
from personal_pipeline.settings_pages import pages
from personal_pipeline.sources import SOURCES

CHECKOUT = Path(__file__).parents[1]
LOCK = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
MACHINES = [
    {"sys_platform": platform, "python_version": python, "python_full_version": f"{python}.0"}
    for platform in ("linux", "darwin", "win32")
    for python in ("3.11", "3.12", "3.13")
]


def page_of(source: Source) -> str:
    """The page in docs/sources/ that a person reads about a source."""
    return (CHECKOUT / "docs" / "sources" / f"{source.name}.md").read_text(encoding="utf-8")


def locked() -> list[tuple[Requirement, str]]:
    """Each requirement of the lock with what follows it up to the next one."""
    entries = re.findall(
        r"^(?P<line>[A-Za-z0-9][^\\\n]*?) \\\n(?P<rest>(?:^ .*\n)*)", LOCK, re.MULTILINE
    )
    return [(Requirement(line), rest) for line, rest in entries]


@pytest.mark.parametrize(("name", "content"), pages(SOURCES).items(), ids=pages(SOURCES))
def test_the_pages_of_settings_say_what_is_declared(name: str, content: str) -> None:
    written = (CHECKOUT / name).read_text(encoding="utf-8").splitlines()
    differing = [
        f"{name}, line {number}: {found!r} should be {wanted!r}"
        for number, (found, wanted) in enumerate(
            zip_longest(written, content.splitlines()), start=1
        )
        if found != wanted
    ]
    assert differing == [], "write it anew: python -m personal_pipeline.settings_pages"


def test_the_example_of_settings_changes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERSONAL_PIPELINE_HOME")
    defaults = load_settings()
    shutil.copy(CHECKOUT / ".env.example", tmp_path / ".env")
    (tmp_path / ".env").chmod(0o600)
    copied = load_settings()
    assert copied.model_copy(update={"of_sources": {}}) == defaults.model_copy(
        update={"of_sources": {}}
    )
    for setting in (each for source in SOURCES for each in source.settings):
        if setting.is_needed:
            assert not copied.is_set(setting.name)
        else:
            assert copied.text(setting) == setting.default


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_a_source_has_a_page_that_names_its_settings_and_streams(source: Source) -> None:
    page = page_of(source)
    for name in (*source.credentials, *(stream.name for stream in source.streams)):
        assert f"`{name}" in page or f"{name}=" in page, name
    for heading in ("## What comes in", "## When it fails", "## Unverified"):
        assert heading in page


def test_a_page_in_docs_sources_has_its_source() -> None:
    pages = {path.stem for path in (CHECKOUT / "docs" / "sources").glob("*.md")}
    assert pages == {source.name for source in SOURCES}


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        (path.name, target)
        for path in (CHECKOUT / "docs").rglob("*.md")
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_decisions_are_numbered_dated_listed_and_short() -> None:
    folder = CHECKOUT / "docs" / "decisions"
    decisions = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    assert [path.name[:4] for path in decisions] == [
        f"{number:04}" for number in range(1, len(decisions) + 1)
    ]
    index = (folder / "README.md").read_text(encoding="utf-8")
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]} .+\n\n20\d\d-\d\d-\d\d\n", text), path.name
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], path.name
        assert len(text.split()) <= 450, path.name
        assert f"]({path.name})" in index


def test_the_lock_names_no_address_and_no_path() -> None:
    assert not re.search(r"://|^-|--(index|extra-index|find-links)", LOCK, re.MULTILINE)
    assert not re.search(r"(^|[\s\"'=])(/|~|[A-Za-z]:\\)", LOCK)


def test_every_package_of_the_lock_is_exact_and_hashed() -> None:
    entries = locked()
    assert len(entries) == len(re.findall(r"^[A-Za-z0-9]", LOCK, re.MULTILINE))
    for requirement, rest in entries:
        assert [each.operator for each in requirement.specifier] == ["=="], requirement.name
        assert "--hash=sha256:" in rest, requirement.name


@pytest.mark.parametrize(
    "machine", MACHINES, ids=lambda each: f"{each['sys_platform']}-{each['python_version']}"
)
def test_the_lock_satisfies_the_project_on_every_machine(machine: dict[str, str]) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    wanted = [*project["project"]["dependencies"], *groups["build"], *groups["dev"]]
    wanted += project["build-system"]["requires"]
    versions = {
        requirement.name: next(iter(requirement.specifier)).version
        for requirement, _ in locked()
        if requirement.marker is None or requirement.marker.evaluate(machine)
    }
    for requirement in map(Requirement, wanted):
        assert requirement.name in versions
        assert versions[requirement.name] in requirement.specifier, requirement.name
