"""Licences of the lock: every package says one that is on the list."""

from __future__ import annotations

import pytest

from personal_pipeline.licences import ACCEPTED, ACCEPTED_IN_TESTS, allows, main, packages


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("MIT AND PSF-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MPL-2.0 AND (Apache-2.0 OR GPL-3.0-only)", True),
        ("(MIT AND GPL-3.0-only) OR (GPL-3.0-only)", False),
        ("(MIT) AND (GPL-3.0-only)", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_an_expression_is_fulfilled_by_what_is_accepted(licence: str, fine: bool) -> None:
    assert allows(licence, ACCEPTED) is fine


def test_every_package_of_the_lock_has_a_licence_that_is_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main() == 0
    shown = capsys.readouterr().out
    found = {each.name: each for each in packages()}
    assert all(name[:10] in shown for name in found)
    # nothing under a licence that binds the whole is needed to run
    bound = {name for name, each in found.items() if each.licence in ACCEPTED_IN_TESTS}
    assert bound
    assert not {name for name in bound if found[name].runs}
    assert found["duckdb"].runs
    assert not found["hypothesis"].runs


def test_one_that_is_not_on_the_list_is_named_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personal_pipeline.licences.ACCEPTED", ACCEPTED - {"PSF-2.0"})
    assert main() == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "typing-extensions" in last
