"""The short form of the attack: a few seeded cases of each kind, of what comes in. The long form,
with every table, is ``python -m personal_pipeline_tests.faults``."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from personal_pipeline.ingest.lake import Version, Written, content_digest, lake_of
from personal_pipeline.ingest.ledger import note_shown, read_shown
from personal_pipeline.sources.bank import BANK
from personal_pipeline_tests.faults import cases
from personal_pipeline_tests.faults.house import services
from personal_pipeline_tests.faults.judge import Verdict, differences, held
from personal_pipeline_tests.faults.run import Case, attack
from personal_pipeline_tests.faults.world import TAKEN, Attack, World, world

SEED = 1

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def made(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("faults"), built=False, parsed=parsed) as found:
        yield found


def chosen(made: World) -> Iterator[Case]:
    """What is tried in each run of the tests, one of each kind: each case costs seven seconds of a
    core. ``test_damage.py`` has damage of every kind of file, ``bad_day`` answers that are cut."""
    # each kind of kill has a dry run first, so no more are asked for
    yield from islice(cases.kills(made, Random(SEED), 28), 0, 6, 3)
    yield from cases.disks(made, Random(SEED), 1)
    yield from cases.damages(made, ["lake of a service"], ["garbage"])
    yield from cases.damages(made, ["sidecar"], ["deleted"])
    yield from cases.damages(made, ["original"], ["bytes flipped"])
    yield from list(cases.clocks(["60 days ahead"]))[:1]
    yield from cases.faults(["lists emptied"])
    yield from cases.hostile(["half written"])


def test_nothing_is_lost_and_nothing_silently_wrong(made: World, tmp_path: Path) -> None:
    outcomes = [attack(made, case, SEED, tmp_path / "case") for case in chosen(made)]
    bad = [
        f"{each.kind}: {each.name}: {each.verdict}: {each.differences}\n{each.said[:2000]}"
        for each in outcomes
        if each.verdict in (Verdict.LOST, Verdict.SILENT)
    ]
    assert not bad, "\n".join(bad)
    assert sum(each.tried for each in outcomes) >= 9, [
        each.name for each in outcomes if not each.tried
    ]


# ------------------------------------------------------------------------------ the judge can see


def test_a_row_that_nobody_misses_is_silently_wrong(made: World, tmp_path: Path) -> None:
    """A partition of last month is emptied as a defect of the house would do it, with its digest
    noted in lake and ledger: no command has anything to complain about."""

    def do(attack: Attack) -> None:
        (path,) = (attack.home.lake / "bank" / "transactions").glob("month=2025-10-*/part.*")
        path.write_bytes(gzip.compress(b"", mtime=0))
        drop = next(d for d in BANK.drops for s in d.streams if s.name == "transactions")
        stream = next(each for each in drop.streams if each.name == "transactions")
        month, nothing = date(2025, 10, 1), Version(content_digest([]), 0)
        lake_of(attack.home, "bank", stream).note({month: nothing})
        written = [Written(month, nothing, True, True, 0, 0, 0)]
        for each in BANK.drops:
            if read_shown(attack.home, BANK, each):
                note_shown(attack.home, BANK, each, (), {"transactions": written})

    case = Case("defect", "a month without its rows", TAKEN, do)
    outcome = attack(made, case, SEED, tmp_path / "case")
    assert outcome.verdict is Verdict.SILENT
    (difference,) = outcome.differences
    assert difference.startswith("lake/bank/transactions/month=2025-10-01/part.jsonl.gz: ")


def test_an_original_that_is_gone_is_a_difference(made: World, tmp_path: Path) -> None:
    from personal_pipeline.home import Home

    home = Home(tmp_path / "home")
    shutil.copytree(made.home(TAKEN).root, home.root)
    whole = held(home)
    assert differences(whole, made.truth[TAKEN]) == []
    path = next(each for each in (home.archive / "originals").rglob("*.QFX"))
    path.chmod(0o600)
    path.write_bytes(b"something else")
    assert differences(held(home), whole) == [path.relative_to(home.root).as_posix()]


def test_the_services_of_the_harness_know_the_new_day_only_after_the_eve() -> None:
    with services() as served:
        assert not served.has_new_day
        served.new_day()
        assert served.has_new_day
