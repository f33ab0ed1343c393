"""What happened to dropped files, and what files are, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from personal_pipeline.ingest.adding import Explained
from personal_pipeline.ingest.inbox import Receipt
from personal_pipeline.outputs.terminal import count_cell, grid_of
from personal_pipeline.outputs.terminal import escape_line as escape
from personal_pipeline.shown import shown, shown_lines

NAMES_SHOWN = 10
"""Of files that were set aside for one reason."""


def receipts_table(receipts: Sequence[Receipt]) -> RenderableType:
    """One line per kind of file. Below it one sentence for everything unusual about a file, and for
    each that was set aside."""
    taken: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        if not receipt.problem:
            taken.setdefault(f"{receipt.source} {receipt.drop}", []).append(receipt)
    files = sum(map(len, taken.values()))
    named = escape(receipts[0].file) if len(receipts) == 1 else f"{files:,} files"
    grid = grid_of(
        f"Ingested {named}", "as", ">files", ">new", ">changed", ">removed", ">same", "months"
    )
    # seven columns in 80
    grid.padding = (0, 1, 0, 0)
    for kind, group in taken.items():
        streams = [stream for receipt in group for stream in receipt.streams]
        grid.add_row(
            kind,
            f"{len(group):,}",
            count_cell(sum(each.new for each in streams)),
            count_cell(sum(each.altered for each in streams)),
            count_cell(sum(each.vanished for each in streams)),
            count_cell(sum(each.unchanged for each in streams)),
            _span(group),
        )
    odd = [*_set_aside(receipts), *(line for receipt in receipts for line in _odd(receipt))]
    return Group(
        *([grid] if taken else []), *(Text.from_markup(line) for line in dict.fromkeys(odd))
    )


def _set_aside(receipts: Sequence[Receipt]) -> Iterator[str]:
    """One sentence per reason: a folder may hold hundreds of files that nobody knows."""
    names: dict[str, list[str]] = {}
    for receipt in receipts:
        if receipt.problem:
            names.setdefault(receipt.problem, []).append(escape(receipt.file))
    for problem, files in names.items():
        more = f" and {len(files) - NAMES_SHOWN:,} more" if len(files) > NAMES_SHOWN else ""
        yield f"[red]{', '.join(files[:NAMES_SHOWN])}{more}: set aside: {escape(problem)}[/]"


def _odd(receipt: Receipt) -> Iterator[str]:
    file = escape(receipt.file)
    if receipt.gave_nothing and not receipt.problem:
        yield f"[red]{file}: none of its rows could be ingested{_and_why(receipt)}.[/]"
    if receipt.warning:
        yield f"[yellow]{file}: {escape(receipt.warning)}[/]"
    if receipt.unreadable_why:
        rows = "row" if receipt.unreadable == 1 else "rows"
        why = "; ".join(each.removesuffix(".") for each in receipt.unreadable_why)
        more = "; and others" if receipt.unreadable > len(receipt.unreadable_why) else ""
        place = f" Kept in {receipt.unreadable_in}." if receipt.unreadable_in else ""
        yield (
            f"[yellow]{file}: {receipt.unreadable:,} {rows} unreadable: "
            f"{escape(f'{why}{more}.{place}')}[/]"
        )
    if receipt.also_claimed:
        also = "; ".join(receipt.also_claimed)
        yield (
            f"[yellow]{file}: ingested as {receipt.source} {receipt.drop} "
            f"({escape(receipt.reason)}); also claimed by {escape(also)}.[/]"
        )
    for stream in receipt.streams:
        if stream.columns_unknown:
            names = escape(", ".join(stream.columns_unknown))
            yield f"[yellow]{file}: new columns in {stream.stream}: {names}.[/]"
        if stream.columns_gone:
            names = escape(", ".join(stream.columns_gone))
            yield f"[yellow]{file}: missing columns in {stream.stream}: {names}.[/]"


def _and_why(receipt: Receipt) -> str:
    if receipt.unreadable:
        return f"; they are in quarantine/{receipt.source}/, each with its reason"
    return ", because it has none. Export it again if there should be some"


def _span(receipts: Sequence[Receipt]) -> str:
    months = [
        month
        for receipt in receipts
        for stream in receipt.streams
        for month in (stream.first_month, stream.last_month)
        if month
    ]
    if not months:
        return ""
    first, last = min(months)[:7], max(months)[:7]
    return first if first == last else f"{first} to {last}"


def explanation(explained: Explained) -> RenderableType:
    """The sources that claim a file, the one that ingests it first; or what the file looks like."""
    name = Text(f"{shown(explained.file)}\n", style="bold")
    if explained.unknown is not None:
        # not wrapped to the terminal's width: part of it may be a file to copy
        return name.append(f"{shown_lines(explained.unknown)}\n", style="not bold")
    grid = grid_of("", "claimed by", ">confidence", "because")
    for place, opinion in enumerate(explained.opinions):
        who = f"{opinion.source} {opinion.drop}"
        grid.add_row(
            f"[green]{who}[/] (chosen)" if place == 0 else who,
            f"{opinion.confidence:.0%}",
            escape(opinion.reason),
        )
    name.rstrip()
    return Group(name, grid)
