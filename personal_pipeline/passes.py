"""A pass over the house: fetch, ingest the inbox, build what is stale, write report and site,
check.

Each step is a plain function of a house that returns what it did. The command line runs all of them
here; a Dagster run executes only those it needs. Nothing here depends on Dagster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from threading import Thread

from personal_pipeline import told
from personal_pipeline.board import StreamState, board_of
from personal_pipeline.checks import FILES, FilesCheck, StreamCheck, check_files, check_streams
from personal_pipeline.house import House
from personal_pipeline.ingest import adding, fetch, inbox
from personal_pipeline.ingest.again import ReadAgain, read_outdated_again
from personal_pipeline.ingest.contract import Progress, Source, Window
from personal_pipeline.ingest.fetch import FetchResult
from personal_pipeline.ingest.http import NEEDS_A_PERSON
from personal_pipeline.ingest.kept import bring_kept
from personal_pipeline.ingest.lake import Written
from personal_pipeline.ingest.opening import complete_sidecars, opened
from personal_pipeline.ingest.unfinished import Left
from personal_pipeline.listed_outputs import OutputResults, write_outputs
from personal_pipeline.troubles import sentence_of
from personal_pipeline.warehouse import dbt_host, integrity, store
from personal_pipeline.warehouse.build import BuildResult, reconcile
from personal_pipeline.warehouse.lake import Lake, read_lake
from personal_pipeline.warehouse.left_out import count_left_out
from personal_pipeline.warehouse.mending import mend_dropped

# -------------------------------------------------------------------------------------- fetching


@dataclass(frozen=True, slots=True)
class SourceResult:
    """The result of fetching one source, per stream. ``broken`` describes an error that ended it
    before it could be attributed to a stream."""

    source: Source
    results: Sequence[FetchResult] = ()
    broken: str | None = None

    @property
    def failures(self) -> list[str]:
        """Failures that a retry may fix, one sentence each."""
        broken = [f"{self.source.title}: {self.broken}"] if self.broken else []
        failed = (each.failure for each in self.results if each.failure)
        mended = (str(each) for each in failed if each.failure not in NEEDS_A_PERSON)
        return list(dict.fromkeys([*broken, *mended]))

    @property
    def needs_a_person(self) -> list[str]:
        """What the service refuses until the person acts there, one sentence each."""
        failed = (each.failure for each in self.results if each.failure)
        return list(dict.fromkeys(str(e) for e in failed if e.failure in NEEDS_A_PERSON))

    @property
    def succeeded(self) -> list[str]:
        """The streams (``source/stream``) that were fetched successfully."""
        return [f"{each.source}/{each.stream}" for each in self.results if not each.failure]


def fetch_source(
    house: House,
    source: Source,
    streams: Collection[str] | None = None,
    *,
    window: Window | None = None,
    beginning: date | None = None,
    accept: bool = False,
    progress: Progress | None = None,
) -> SourceResult:
    """Fetch a connected source: what is due for these streams (None: all), or only ``window``.

    ``beginning`` is the first day that the person wants; ``accept`` accepts an answer even if it
    removes most rows. Raises ``Busy`` if another process is fetching the source, and ``OSError`` if
    the disk is full.
    """
    results = fetch.fetch_streams(
        house.home,
        house.settings,
        source,
        {stream.name for stream in source.api} if streams is None else streams,
        clock=house.clock,
        beginning=beginning,
        window=window,
        progress=progress,
        accept=accept,
    )
    return SourceResult(source, results)


def fetch_sources(
    house: House,
    sources: Iterable[Source],
    *,
    beginning: date | None = None,
    accept: str | None = None,
    progress: Progress | None = None,
) -> list[SourceResult]:
    """Fetch sources concurrently, one thread each: a source that stalls uses up only its own time
    budget, and one that raises is a failure of its own. ``accept`` names one of them."""
    done: dict[str, SourceResult] = {}

    def work(source: Source) -> None:
        try:
            done[source.name] = fetch_source(
                house,
                source,
                beginning=beginning,
                accept=source.name == accept,
                progress=progress,
            )
            if any(result.changed for result in done[source.name].results):
                # tables will be built: import dbt while the others are still being fetched
                dbt_host.warm()
        except Exception as error:  # continue without this source
            done[source.name] = SourceResult(source, broken=sentence_of(error, house.home.root))

    chosen = list(sources)
    # daemon threads, so that Ctrl-C does not wait for a stalled service; every write is atomic
    threads = [Thread(target=work, args=(source,), daemon=True) for source in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [done[source.name] for source in chosen]


# ------------------------------------------------------------------------------ ingesting the inbox


@dataclass(slots=True)
class InboxResult:
    """The result of ingesting the inbox: a receipt per file, the files that stay there, and the
    partitions written per stream (``source/stream``). ``broken`` describes an error that ended it
    early."""

    receipts: list[inbox.Receipt] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    written: dict[str, list[Written]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    broken: str | None = None

    @property
    def failures(self) -> list[str]:
        """What a person should look at, one sentence each."""
        troubles = [str(each) for each in self.left if each.trouble]
        return [*troubles, *([self.broken] if self.broken else [])]

    @property
    def waits(self) -> list[str]:
        """The files that are still being written, one sentence each."""
        return [str(each) for each in self.left if not each.trouble]


def ingest_inbox(
    house: House,
    files: Collection[str] | None = None,
    *,
    publish: bool = True,
    progress: Progress | None = None,
) -> InboxResult:
    """Take the files in the inbox, or only those with these names.

    ``publish`` makes the receipts visible to readers at once; not needed if tables are built next,
    which publishes them anyway.
    """
    ingested = InboxResult()
    if not publish:
        dbt_host.warm()
    try:
        # a damaged partition blocks the files that go into it
        ingested.notes += mend_dropped(house)
        for each in adding.ingested(house.home, house.sources, house.clock, files, progress):
            if isinstance(each, Left):
                ingested.left.append(each)
                continue
            for file in each.everything():
                ingested.receipts.append(file.receipt)
                for (source, stream), partitions in file.written.items():
                    ingested.written.setdefault(f"{source}/{stream}", []).extend(partitions)
    except Exception as error:  # files ingested before the error stay ingested
        ingested.broken = sentence_of(error, house.home.root)
    if publish and ingested.receipts:
        store.publish_receipts(house.home)
    return ingested


# ----------------------------------------------------------------------------- building, reporting


@dataclass(slots=True)
class RestoreResult:
    """The result of re-reading originals, so that the lake reflects everything in the archive."""

    read: list[ReadAgain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: str | None = None

    @property
    def failures(self) -> list[str]:
        """What could not be re-read, one sentence each."""
        problems = [each for read in self.read for each in read.problems]
        return [*problems, *([self.broken] if self.broken else [])]


def restore_lake(house: House, *, progress: Progress | None = None) -> RestoreResult:
    """Bring the lake of dropped files in line with the archive, as parsed by the current
    readers."""
    done = RestoreResult()
    try:
        done.notes += mend_dropped(house)
        done.notes += complete_sidecars(house.home, house.sources)
        done.read += read_outdated_again(house.home, house.sources, progress, now=house.clock())
    except Exception as error:  # build the tables from the lake as it is
        done.broken = sentence_of(error, house.home.root)
    return done


def build_tables(
    house: House, *, retry: bool = False, again: bool = False, progress: Progress | None = None
) -> BuildResult:
    """Build what is stale. ``retry`` also builds what failed twice and is on hold; ``again``
    immediately retries what fails, for a run that nobody follows up. Raises as ``reconcile``
    does."""
    work = reconcile(house, retry=retry, progress=progress)
    if again and any(each.failure and not each.waits for each in work.built):
        second = reconcile(house)
        tried = {each.name for each in second.built}
        work.built = [each for each in work.built if each.name not in tried]
        work.add(second)
    if work.lake and work.built:
        with store.reading(house) as opened:
            count_left_out(house, store.read_ledger_rows(opened), work.lake)
    return work


# ---------------------------------------------------------------------------------- all of it


@dataclass(slots=True)
class PassResult:
    """The result of a pass, step by step."""

    fetched: list[SourceResult] = field(default_factory=list)
    ingested: InboxResult = field(default_factory=InboxResult)
    restored: RestoreResult = field(default_factory=RestoreResult)
    work: BuildResult = field(default_factory=BuildResult)
    broken: str | None = None
    """The error that ended the building of tables."""
    outputs: OutputResults = field(default_factory=OutputResults)
    board: Sequence[StreamState] = ()
    checks: Sequence[StreamCheck] = ()
    files: FilesCheck | None = None
    lake: Lake | None = None
    notes: list[str] = field(default_factory=list)
    """What a person should know, one sentence each."""

    @property
    def failures(self) -> list[str]:
        """Everything that went wrong, a sentence each, for whoever ran this by hand."""
        fetched = [s for each in self.fetched for s in (*each.failures, *each.needs_a_person)]
        return list(dict.fromkeys([*fetched, *self.failures_to_mend]))

    @property
    def failures_to_mend(self) -> list[str]:
        """The same without what a service refuses until the person has done something there: that
        is told once and stays on the board, and no run needs to fail for it every day."""
        fetched = [said for each in self.fetched for said in each.failures]
        steps = (fetched, self.ingested.failures, self.restored.failures, self.table_failures)
        return list(dict.fromkeys(said for failures in steps for said in failures))

    @property
    def table_failures(self) -> list[str]:
        """What could not be built or written, one sentence each."""
        broken = [self.broken] if self.broken else []
        return [*self.work.failures, *broken, *self.outputs.failures]

    @property
    def all_notes(self) -> list[str]:
        """The notes of all steps."""
        steps = (self.notes, self.ingested.notes, self.restored.notes, self.work.notes)
        return list(dict.fromkeys(note for notes in steps for note in notes))


def run_pass(
    house: House,
    *,
    only: Sequence[Source] | None = None,
    retry: bool = False,
    beginning: date | None = None,
    accept: str | None = None,
    progress: Progress | None = None,
) -> PassResult:
    """Run a pass. ``only`` restricts fetching to some sources and skips the inbox; ``retry`` also
    builds what failed twice and is on hold; ``beginning`` and ``accept`` are those of
    ``fetch_sources``."""
    home = house.home
    passed = PassResult()
    passed.notes += opened(home, house.sources)
    chosen = [source for source in only or house.sources if house.connected(source)]
    passed.fetched = fetch_sources(
        house, chosen, beginning=beginning, accept=accept, progress=progress
    )
    if only is None:
        bring_kept(home, house.sources)
        if inbox.waiting(home) or inbox.oddities(home):
            passed.ingested = ingest_inbox(house, publish=False, progress=progress)
    finish_pass(house, passed, retry=retry, progress=progress)
    return passed


def finish_pass(
    house: House, passed: PassResult, *, retry: bool = False, progress: Progress | None = None
) -> None:
    """The second half of a pass, after new data has arrived: build, report, check. The results are
    added to ``passed``; a failing step does not prevent the next."""
    passed.restored = restore_lake(house, progress=progress)
    try:
        passed.work = build_tables(house, retry=retry, progress=progress)
    except Exception as error:  # the report still shows the current state
        passed.broken = sentence_of(error, house.home.root)
    passed.lake = passed.work.lake or read_lake(house)
    passed.board = board_of(house, passed.lake)
    passed.outputs = write_outputs(house, passed.board)
    passed.files = check_files(house)
    passed.checks = check_streams(house, passed.board)


# ------------------------------------------------------------------------------ telling Dagster


def is_news(house: House, passed: PassResult) -> bool:
    """Whether a pass found, changed or failed at anything that Dagster does not know yet."""
    known = told.recall(house.home)
    if passed.outputs.news or passed.ingested.receipts or passed.restored.read:
        return True
    if passed.failures_to_mend:
        return True
    if known.failed or known.published != integrity.stamp_of(house.home.published):
        return True
    now = house.clock()
    if passed.work.current and told.is_old(known.current, now, told.TELL_CURRENT_AFTER):
        return True
    lake = passed.lake or Lake({}, {})
    return (
        any(
            known.contents.get(name, told.NOTHING) != told.digest_of_partitions(partitions)
            for name, partitions in lake.versions.items()
            if name not in lake.damaged
        )
        or any(known.checks.get(check.stream) != check.digest for check in passed.checks)
        or (passed.files is not None and known.checks.get(FILES) != passed.files.digest)
        or any(
            told.is_old(known.looks.get(name), now, told.TELL_FETCH_AFTER)
            for each in passed.fetched
            for name in each.succeeded
        )
    )
