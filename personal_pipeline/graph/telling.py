"""The steps of a pass as reported to Dagster: events and log lines of the run that took them.

Level-triggered like the reconcile: see ``contents``. Nothing here does any work of the pipeline.
"""

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

import dagster as dg

from personal_pipeline import told
from personal_pipeline.board import StreamState
from personal_pipeline.checks import FILES, FilesCheck, StreamCheck
from personal_pipeline.doors.door import site_address_of
from personal_pipeline.freshness import State
from personal_pipeline.graph.contents import Metadata, log_contents, materialization
from personal_pipeline.house import House
from personal_pipeline.ingest import inbox
from personal_pipeline.ingest.lake import Written
from personal_pipeline.listed_outputs import OutputResults
from personal_pipeline.outputs.board import board_markdown
from personal_pipeline.outputs.contract import Written as WrittenOutput
from personal_pipeline.passes import InboxResult, PassResult, RestoreResult, SourceResult
from personal_pipeline.shown import counted, shown
from personal_pipeline.warehouse import integrity, store
from personal_pipeline.warehouse.build import BuildResult, BuiltTable, TestResult
from personal_pipeline.warehouse.lake import Lake, read_lake
from personal_pipeline.warehouse.tables import WHOLE

Context: TypeAlias = dg.AssetExecutionContext | dg.OpExecutionContext

BOARD = dg.AssetKey(["outputs", "source_board"])
CHECK = "state"
"""The name of the check of each raw stream."""

LINES_A_MESSAGE = 200
RECEIPTS_TOLD = 200
"""How many of the most recent receipts are shown with a partition; pipeline.receipts has all."""

MAX_PARTITIONS_SHOWN = 40


def page(context: Context | dg.AssetCheckExecutionContext) -> logging.Logger:
    """The log on the page of a run. Dagster gives it the level of what a run prints, and
    ``dagster.yaml`` has that silenced."""
    context.log.setLevel(logging.INFO)
    return context.log


def tell_pass(context: Context, house: House, passed: PassResult) -> None:
    """Report all steps of a pass."""
    lake = passed.lake or read_lake(house)
    for fetched in passed.fetched:
        tell_fetched(context, house, lake, fetched)
    tell_ingested(context, house, lake, passed.ingested)
    tell_restored(context, house, lake, passed.restored)
    if house.home.published.exists():
        tell_work(context, house, passed.work)
    tell_outputs(context, house, passed.outputs)
    tell_checks(context, house, passed.checks)
    if passed.files:
        tell_files(context, house, passed.files)
    if passed.board:
        tell_board(context, passed.board)
    failed = bool(passed.failures_to_mend)
    told.remember(house.home, replace(told.recall(house.home), failed=failed))


# ------------------------------------------------------------------------------------ raw streams


def tell_fetched(
    context: Context,
    house: House,
    lake: Lake,
    fetched: SourceResult,
    asked: Collection[str] = (),
) -> None:
    """Report the result of fetching a source. ``asked`` are partitions that a person requested."""
    source = fetched.source
    written = {f"{source.name}/{result.stream}": result.written for result in fetched.results}
    streams = [f"{source.name}/{stream.name}" for stream in source.api]
    tell_streams(context, house, lake, streams, written, dict.fromkeys(written, asked))
    known = told.recall(house.home)
    looks = {name: house.clock().isoformat() for name in fetched.succeeded}
    told.remember(house.home, replace(known, looks={**known.looks, **looks}))
    for result in fetched.results:
        page(context).info(
            f"{source.name}.{result.stream}: {counted(result.records, 'record')}, "
            f"{counted(len(result.changed), 'partition')} changed, {result.unreadable} unreadable"
        )
        for said in result.notes:
            page(context).warning(f"{source.name}.{result.stream}: {said}")
    for said in fetched.needs_a_person:
        # it waits for the person, who is told once: the run need not fail
        page(context).warning(f"Action required. {said}")


def tell_ingested(context: Context, house: House, lake: Lake, ingested: InboxResult) -> None:
    """Report the result of ingesting the inbox."""
    _log_lines(context, [receipt_line(each) for each in ingested.receipts])
    _log_lines(context, map(str, ingested.left))
    for note in ingested.notes:
        page(context).warning(note)
    fed = {(each.source, each.drop) for each in ingested.receipts if not each.problem}
    looked_at = {
        name: {max(lake.versions[name])}
        for source in house.sources
        for drop in source.drops
        if (source.name, drop.name) in fed
        for stream in drop.streams
        # also of a stream of which the file had no rows: it was looked at
        if lake.versions.get(name := f"{source.name}/{stream.name}")
        and not ingested.written.get(name)
    }
    tell_streams(
        context, house, lake, dropped_streams(house), ingested.written, looked_at, ingested.receipts
    )


def tell_restored(context: Context, house: House, lake: Lake, restored: RestoreResult) -> None:
    """Report what re-reading originals changed."""
    for note in restored.notes:
        page(context).warning(note)
    for each in restored.read:
        changed = sum(map(len, each.changed.values()))
        page(context).info(
            f"{each.source} {each.drop}: re-read {counted(each.files, 'file')} from the archive, "
            f"because {each.why}; {counted(changed, 'partition')} changed"
        )
    tell_streams(context, house, lake, dropped_streams(house), {}, {})


def dropped_streams(house: House) -> list[str]:
    """The streams that are fed by dropped files."""
    return [
        f"{source.name}/{stream.name}" for source in house.sources for stream in source.drop_streams
    ]


def tell_streams(
    context: Context,
    house: House,
    lake: Lake,
    names: Collection[str],
    written: Mapping[str, Sequence[Written]],
    asked: Mapping[str, Collection[str]],
    receipts: Sequence[inbox.Receipt] = (),
) -> None:
    """Report what ``lake`` has of these streams; ``written`` are the latest changes to it, and
    ``receipts`` those of the files that were ingested.

    The most recent partition that was written is reported in any case: "checked, nothing new" is
    what makes a source fresh.
    """
    # what is damaged is reported by the board and the reconcile, with what to do
    contents = {
        name: lake.versions[name]
        for name in names
        if name in lake.versions and name not in lake.damaged
    }
    done = {(name, each.partition.isoformat()): each for name, w in written.items() for each in w}
    newest = {
        name: max(each.partition for each in partitions).isoformat()
        for name, partitions in written.items()
        if partitions
    }

    def describe(name: str, partition: str) -> Metadata:
        metadata: Metadata = {
            "dagster/partition_row_count": dg.MetadataValue.int(lake.rows[name][partition])
        }
        if each := done.get((name, partition)):
            counts = {"new": each.new, "changed": each.altered, "removed": each.removed}
            said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
            metadata["rows"] = dg.MetadataValue.text(said or "no change")
        if partition == newest.get(name) and (rows_of := _receipts_of(name, receipts)):
            metadata["receipts"] = dg.MetadataValue.table(rows_of)
        return metadata

    also = {name: set(partitions) for name, partitions in asked.items()}
    for name, partition in newest.items():
        also.setdefault(name, set()).add(partition)
    log_contents(context, house, contents, describe, also)


def _log_lines(context: Context, lines: Iterable[str]) -> None:
    """Many lines per message: each message is stored separately, as a row of Dagster's storage."""
    remaining = iter(lines)
    while some := list(islice(remaining, LINES_A_MESSAGE)):
        page(context).info("\n".join(some))


def _receipts_of(name: str, receipts: Sequence[inbox.Receipt]) -> list[dg.TableRecord]:
    """What each file did to one stream, one row per file."""
    return [
        dg.TableRecord(
            {
                "file": shown(receipt.file),
                "new": each.new,
                "changed": each.altered,
                "vanished": each.vanished,
                "unchanged": each.unchanged,
                "unreadable in the file": receipt.unreadable,
                "from": each.first_month or "",
                "to": each.last_month or "",
                "new columns": shown(", ".join(each.columns_unknown)),
                "missing columns": shown(", ".join(each.columns_gone)),
            }
        )
        for receipt in receipts[-RECEIPTS_TOLD:]
        for each in receipt.streams
        if f"{receipt.source}/{each.stream}" == name
    ]


def receipt_line(receipt: inbox.Receipt) -> str:
    """A receipt in one line, for the log of the run."""
    if receipt.problem:
        return shown(f"{receipt.file}: set aside. {receipt.problem}")
    counts = ", ".join(
        f"{each.stream} {each.new} new {each.altered} changed {each.vanished} removed "
        f"{each.unchanged} unchanged"
        for each in receipt.streams
    )
    kind = f"{receipt.source} {receipt.drop}"
    also = [f"also claimed by {each}" for each in receipt.also_claimed]
    odd = [receipt.warning or ""]
    for each in receipt.streams:
        for words, names in (("new", each.columns_unknown), ("gone", each.columns_gone)):
            odd += [f"{each.stream} columns {words}: {', '.join(names)}"] if names else []
    unreadable = f"{receipt.unreadable} unreadable"
    line = "; ".join(filter(None, [kind, counts, unreadable, *also, *odd]))
    return shown(f"{receipt.file}: {line}", 4_000)


# --------------------------------------------------------------------------------- derived tables


def tell_work(
    context: Context,
    house: House,
    work: BuildResult,
    asked: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Report the content of every derived partition for readers, and the test results; for a table
    that failed, what was reported before.

    Once a day, also the newest partition of each table that was found current, with the content
    that it had: a table that is no longer looked after turns stale in Dagster.
    """
    for note in work.notes:
        page(context).warning(note)
    stamp = integrity.stamp_of(house.home.published)
    with store.reading(house) as opened:
        kept = store.read_ledger_rows(opened)
    now = house.clock()
    changed = {each.name for each in work.built if each.changed}
    last = told.recall(house.home).current
    due = bool(work.current) and told.is_old(last, now, told.TELL_CURRENT_AFTER)
    current = {
        name: max(parts)
        for name, parts in kept.items()
        if due and parts and name in work.current and name not in changed
    }

    def describe(table: str, partition: str) -> Metadata:
        built = kept[table][partition]
        count = dg.MetadataValue.int(built.rows)
        why = _FOUND_CURRENT if current.get(table) == partition else _inputs_table(built)
        return {
            "dagster/row_count" if partition == WHOLE else "dagster/partition_row_count": count,
            "inputs": dg.MetadataValue.md(why),
        }

    # the content that readers have of a failed table is no answer to a request to rebuild it
    failed = {each.name for each in work.built if each.failure}
    also = {name: {*parts} for name, parts in (asked or {}).items() if name not in failed}
    for name, partition in current.items():
        also.setdefault(name, set()).add(partition)
    log_contents(
        context,
        house,
        {name: {p: each.digest for p, each in parts.items()} for name, parts in kept.items()},
        describe,
        also,
    )
    known = replace(told.recall(house.home), published=stamp)
    told.remember(house.home, replace(known, current=now.isoformat()) if due else known)
    for built in work.built:
        page(context).info(_said(built))
    for each in work.tested:
        # accepted at run time, though missing from the annotation
        context.log_event(_test(each))  # type: ignore[arg-type]


_FOUND_CURRENT = "Found current: no input changed since it was built, so nothing was rebuilt."


def _inputs_table(built: store.LedgerRow) -> str:
    """Why it was built: which input partitions changed, with their digests before and now, and
    which inputs did not."""
    rows: list[tuple[str, str, str, str]] = []
    same: list[str] = []
    for name, now in sorted(built.inputs.items()):
        before = built.previous_inputs.get(name, "")
        if before == now:
            same.append(name)
        elif name in built.read and name in built.previous_read:
            old, new = built.previous_read[name], built.read[name]
            rows += [
                (name, each, old.get(each, "missing"), new.get(each, "missing"))
                for each in sorted(old.keys() | new.keys())
                if old.get(each) != new.get(each)
            ]
        else:
            rows.append((name, "all its inputs", before or "none yet", now))
    lines = ["| input | partition | content before | content now |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows[:MAX_PARTITIONS_SHOWN]]
    if len(rows) > MAX_PARTITIONS_SHOWN:
        lines.append(f"| and {len(rows) - MAX_PARTITIONS_SHOWN} more | | | |")
    changed = (
        "\n".join(lines)
        if rows
        else ("No input changed: the code did, or the build was requested.")
    )
    return f"{changed}\n\nUnchanged: {', '.join(same)}" if same else changed


def _said(built: BuiltTable) -> str:
    """The result for a table, in one line for the log of the run."""
    if built.failure:
        return f"{built.name}: {built.failure}"
    why = ", ".join(sorted(built.reasons))
    same = built.partitions - built.changed
    stops = f"; {same} unchanged, so tables that read only those are not rebuilt" if same else ""
    partitions = counted(built.partitions, "partition")
    return f"{built.name}: {partitions} built ({why}), {built.changed} changed{stops}"


def _test(tested: TestResult) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(tested.table.split("/")),
        check_name=tested.name,
        passed=tested.passed,
        severity=dg.AssetCheckSeverity.WARN if tested.only_warns else dg.AssetCheckSeverity.ERROR,
        metadata={"found": dg.MetadataValue.text(tested.message or "no row fails the test")},
    )


def raise_failures(failures: Sequence[str]) -> None:
    """Fail the run if anything failed, with one sentence each."""
    if failures:
        raise dg.Failure(" ".join(failures), allow_retries=False)


# ----------------------------------------------------------------------- outputs, board, checks


def tell_outputs(context: Context, house: House, results: OutputResults) -> None:
    """Report what was written; once a day also what was found up to date, so that an output that is
    no longer looked after turns stale in Dagster."""
    known = told.recall(house.home)
    now = house.clock()
    due = told.is_old(known.outputs_current, now, told.TELL_CURRENT_AFTER)
    for name, written in results.written.items():
        if written:
            tell_output(context, house, name, written)
        elif due and (digest := known.outputs.get(name)):
            key = dg.AssetKey(["outputs", *name.split("/")])
            metadata: Metadata = {"found": dg.MetadataValue.text("up to date: nothing was written")}
            context.log_event(materialization(key, None, digest, metadata))
    if due:
        known = told.recall(house.home)
        told.remember(house.home, replace(known, outputs_current=now.isoformat()))


def tell_output(context: Context, house: House, name: str, written: WrittenOutput) -> None:
    """Report that an output was written."""
    metadata: Metadata = {"file": dg.MetadataValue.path(written.path)}
    if written.page:
        address = site_address_of(house.home, house.settings, written.page)
        metadata["open"] = dg.MetadataValue.url(address)
    for each, said in written.details.items():
        metadata[each] = (
            dg.MetadataValue.int(said) if isinstance(said, int) else dg.MetadataValue.md(said)
        )
    key = dg.AssetKey(["outputs", *name.split("/")])
    context.log_event(materialization(key, None, written.digest, metadata))
    known = told.recall(house.home)
    outputs = {**known.outputs, name: written.digest}
    told.remember(house.home, replace(known, outputs=outputs))


def tell_board(context: Context, board: Sequence[StreamState]) -> None:
    """Report the state of every stream."""
    states = [line.state for line in board]
    markdown = board_markdown(board)
    context.log_event(
        materialization(
            BOARD,
            None,
            hashlib.sha256(markdown.encode()).hexdigest(),
            {
                "board": dg.MetadataValue.md(markdown),
                **{str(state): dg.MetadataValue.int(states.count(state)) for state in State},
            },
        )
    )


def check_result(check: StreamCheck) -> dg.AssetCheckResult:
    """A check in the form that Dagster expects from the checks' op."""
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(check.stream.split("/")),
        check_name=CHECK,
        passed=check.passed,
        severity=_severity(check),
        description=check.description,
        metadata=_facts(check),
    )


def tell_checks(context: Context, house: House, checks: Sequence[StreamCheck]) -> None:
    """Report the checks whose result differs from the last one reported."""
    known = told.recall(house.home)
    for check in checks:
        if known.checks.get(check.stream) != check.digest:
            context.log_event(
                dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                    asset_key=dg.AssetKey(check.stream.split("/")),
                    check_name=CHECK,
                    passed=check.passed,
                    severity=_severity(check),
                    description=check.description,
                    metadata=_facts(check),
                )
            )
    note_checks(house, checks)


def tell_files(context: Context, house: House, found: FilesCheck) -> None:
    """Report the check of files if its result differs from the last one reported."""
    if told.recall(house.home).checks.get(FILES) != found.digest:
        context.log_event(
            dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                asset_key=BOARD,
                check_name=FILES,
                passed=not found.troubles,
                severity=dg.AssetCheckSeverity.ERROR,
                description=" ".join(found.troubles) or None,
            )
        )
    note_files(house, found)


def note_checks(house: House, checks: Sequence[StreamCheck]) -> None:
    """Remember which checks were reported."""
    _note(house, {check.stream: check.digest for check in checks})


def note_files(house: House, found: FilesCheck) -> None:
    """The same for the check of files."""
    _note(house, {FILES: found.digest})


def _note(house: House, digests: Mapping[str, str]) -> None:
    known = told.recall(house.home)
    told.remember(house.home, replace(known, checks={**known.checks, **digests}))


def _severity(check: StreamCheck) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.WARN if check.only_warns else dg.AssetCheckSeverity.ERROR


def _facts(check: StreamCheck) -> dict[str, dg.MetadataValue]:
    return {
        name: dg.MetadataValue.timestamp(fact)
        if hasattr(fact, "timestamp")
        else dg.MetadataValue.float(fact)
        if isinstance(fact, float)
        else dg.MetadataValue.int(fact)
        if isinstance(fact, int)
        else dg.MetadataValue.text(fact)
        for name, fact in check.facts.items()
    }
