"""What the commands do without a daemon: a pass, a rebuild, ingesting the inbox, sending alerts.

Dagster is told about a pass only if there is news, and only then imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from personal_pipeline import passes
from personal_pipeline.house import House
from personal_pipeline.ingest.again import claim_orphans, read_again
from personal_pipeline.ingest.contract import Progress, Source
from personal_pipeline.ingest.opening import opened
from personal_pipeline.passes import InboxResult, PassResult
from personal_pipeline.warehouse import store
from personal_pipeline.warehouse.build import all_tables
from personal_pipeline.warehouse.reconcile import EMPTY
from personal_pipeline.warehouse.store import LedgerRow
from personal_pipeline.warehouse.tables import downstream_of


def refresh(
    house: House,
    *,
    only: Sequence[Source] | None = None,
    retry: bool = False,
    beginning: date | None = None,
    accept: str | None = None,
    progress: Progress | None = None,
) -> PassResult:
    """Run a pass (see ``passes.run_pass``) and report its news to Dagster."""
    passed = passes.run_pass(
        house, only=only, retry=retry, beginning=beginning, accept=accept, progress=progress
    )
    _record(house, passed)
    return passed


def _record(house: House, passed: PassResult) -> None:
    # damage in Dagster's storage is found when there is something to report
    if passes.is_news(house, passed):
        from personal_pipeline.graph.recording import NotReported, record_pass

        try:
            passed.notes += record_pass(house, passed)
        except NotReported as error:
            passed.notes.append(str(error))


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result of a rebuild. ``differs`` counts per table the partitions whose content differs
    from the previously published copy; None if there was no copy to compare with."""

    passed: PassResult
    differs: Mapping[str, int] | None


def rebuild(
    house: House, *, only: Source | None = None, progress: Progress | None = None
) -> Rebuilt:
    """Rebuild the lake of dropped files from the archive, and all tables from the lake; with
    ``only``, those of one source and everything downstream.

    Fetched data is not touched: its lake is the original. The published copy stays until the new
    one is complete. The next ``refresh`` finishes a rebuild that was killed.
    """
    home = house.home
    passed = PassResult()
    passed.notes += opened(home, house.sources)
    before = _published(house)
    claim_orphans(home, house.sources)
    again = [
        read_again(home, house.sources, source, drop, progress=progress, now=house.clock())
        for source in ([only] if only else house.sources)
        for drop in source.drops
    ]
    with store.writing(home):
        if only:
            tables = all_tables(house)
            names = downstream_of(tables, [f"{only.name}/{each.name}" for each in only.streams])
            with store.connection(house) as writable:
                for name in names:
                    store.forget(writable, tables[name], None)
        else:
            for path in home.root.glob(f"{home.warehouse.name}*"):
                path.unlink()
    passes.finish_pass(house, passed, retry=True, progress=progress)
    passed.restored.read[:0] = [each for each in again if each.files or each.problems]
    _record(house, passed)
    return Rebuilt(passed, _differences(before, _published(house)))


def _published(house: House) -> Mapping[str, Mapping[str, LedgerRow]] | None:
    """The content of the published copy; None if there is none or it cannot be read."""
    try:
        with store.reading(house) as copy:
            return store.read_ledger_rows(copy)
    except (FileNotFoundError, duckdb.Error):
        return None


def _differences(
    before: Mapping[str, Mapping[str, LedgerRow]] | None,
    after: Mapping[str, Mapping[str, LedgerRow]] | None,
) -> dict[str, int] | None:
    """How many partitions of each table differ. A partition without rows counts as missing."""
    if before is None or after is None:
        return None

    def digests(kept: Mapping[str, LedgerRow]) -> set[tuple[str, str]]:
        return {(each, found.digest) for each, found in kept.items() if found.digest != EMPTY}

    return {
        name: len({each for each, _ in differing})
        for name in sorted({*before, *after})
        if (differing := digests(before.get(name, {})) ^ digests(after.get(name, {})))
    }


def ingest_inbox(house: House, *, progress: Progress | None = None) -> InboxResult:
    """Ingest the files in the inbox, and nothing else."""
    passed = PassResult(notes=[*opened(house.home, house.sources)])
    passed.ingested = passes.ingest_inbox(house, progress=progress)
    if passed.ingested.receipts:
        _record(house, passed)
    passed.ingested.notes[:0] = passed.notes
    return passed.ingested


ROUND_WAIT_SECONDS = 30
"""How long to wait for a round of alerts in another process."""


def tell_what_is_new(house: House) -> tuple[str, ...]:
    """Send what is new on the board, among the checks and about failed runs, as the daemon does.
    Returns a line per message, and per message that could not be sent."""
    from personal_pipeline.graph.alerting import check_keys_of, make_round
    from personal_pipeline.graph.definitions import definitions_of
    from personal_pipeline.graph.recording import with_instance

    lines = [*opened(house.home, house.sources)]

    def tell(instance: object) -> None:
        graph = definitions_of(house)
        keys = check_keys_of([*(graph.assets or ()), *(graph.asset_checks or ())])
        lines.extend(
            make_round(house, instance, keys, wait_seconds=ROUND_WAIT_SECONDS).lines  # type: ignore[arg-type]
        )

    notes = with_instance(house, tell)
    return (*notes, *lines)
