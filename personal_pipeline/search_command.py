"""``personal-pipeline search``: events of the timeline by their words."""

from __future__ import annotations

import json
import sys
from datetime import date

import click
from rich.console import Console
from rich.text import Text

from personal_pipeline.home import Home
from personal_pipeline.outputs.terminal import escape
from personal_pipeline.search.finding import BY_TIME_ABOVE, CannotSearch, Found, Hit, found
from personal_pipeline.search.question import parsed, period_of
from personal_pipeline.search.words import Pieces
from personal_pipeline.settings import load_settings
from personal_pipeline.shown import counted, shown

CONSOLE = Console()
ERRORS = Console(stderr=True)

KIND_WIDTH = 12
A_PERIOD = "DAY|MONTH|YEAR"


def _period(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[date, date] | None:
    """The first day of a day, month or year, and the first one after it."""
    period = period_of(value) if value else None
    if value and not period:
        raise click.BadParameter("expected one such as 2024-06-01, 2024-06 or 2024")
    return period


@click.command(
    short_help="Find events by their words.",
    # -word is part of a question
    context_settings={"ignore_unknown_options": True},
)
@click.argument("words", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Hits shown.")
@click.option("--source", help="Only from this source.")
@click.option("--kind", help="Only of this kind, such as transaction.")
@click.option(
    "--from", "since", callback=_period, metavar=A_PERIOD, help="Only from its first day."
)
@click.option("--to", "until", callback=_period, metavar=A_PERIOD, help="Only to its last day.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line.")
def search(
    words: tuple[str, ...],
    limit: int,
    source: str | None,
    kind: str | None,
    since: tuple[date, date] | None,
    until: tuple[date, date] | None,
    as_json: bool,
) -> None:
    """Find the events of the timeline that contain all WORDS, the best first.

    In WORDS, "these words" stand side by side, begin* begins a word, -word must not occur;
    source:, kind:, after: and before: choose (docs/search.md).
    """
    for word in words:
        if word.startswith("--"):
            raise click.NoSuchOption(word)
    question = parsed(" ".join(words)).within(
        source=source,
        kind=kind,
        since=since[0] if since else None,
        until=until[1] if until else None,
    )
    try:
        answer = found(Home.of(load_settings().home).search, question, limit)
    except CannotSearch as problem:
        ERRORS.print(escape(str(problem)), soft_wrap=True)
        sys.exit(1)
    for typed, near in answer.instead:
        told = f"Nothing for “{typed}”; showing “{near}”."
        (ERRORS if as_json else CONSOLE).print(escape(told), soft_wrap=True)
    for hit in answer.hits:
        if as_json:
            click.echo(json.dumps(_plain(hit)))
        else:
            for line in _lines(hit):
                CONSOLE.print(line, no_wrap=True, crop=True)
    if not as_json:
        CONSOLE.print(_in_all(answer), style="dim")


def _lines(hit: Hit) -> list[Text]:
    """Day, kind, title and handle; below the title what else was found."""
    title = _marked(hit.title)
    indent = len(hit.local_day) + KIND_WIDTH + 4
    width = max(CONSOLE.width - indent - len(hit.handle) - 2, 10)
    title.truncate(width, overflow="ellipsis", pad=True)
    kind = Text(shown(hit.kind), style="dim")
    kind.truncate(KIND_WIDTH, overflow="ellipsis", pad=True)
    first = Text("  ").join([Text(hit.local_day), kind, title, Text(hit.handle, style="dim")])
    if not hit.snippet:
        return [first]
    snippet = _marked(hit.snippet)
    snippet.truncate(CONSOLE.width - indent, overflow="ellipsis")
    return [first, Text.assemble(" " * indent, snippet)]


def _marked(pieces: Pieces) -> Text:
    text = Text()
    for piece, is_match in pieces:
        text.append(shown(piece), "bold yellow" if is_match else "")
    return text


def _plain(hit: Hit) -> dict[str, object]:
    return {
        "handle": hit.handle,
        "event_id": hit.event_id,
        "local_day": hit.local_day,
        "local_at": hit.local_at,
        "source": hit.source,
        "kind": hit.kind,
        "title": "".join(piece for piece, _ in hit.title),
        "snippet": "".join(piece for piece, _ in hit.snippet),
        "people": hit.people,
        "place": hit.place,
        "amount": hit.amount,
        "currency": hit.currency,
        "address": hit.address,
        "by_others": hit.by_others,
        "reference": hit.reference,
    }


def _in_all(answer: Found) -> str:
    if not answer.count:
        return "Nothing."
    if answer.is_more:
        return f"The newest {len(answer.hits):,} of more than {BY_TIME_ABOVE:,} hits."
    if len(answer.hits) == answer.count:
        return f"{counted(answer.count, 'hit')}."
    order = "newest" if answer.is_by_time else "best"
    return f"The {order} {len(answer.hits):,} of {answer.count:,} hits; --limit shows more."
