"""docs/mcp-session.md: three questions, what a program asked for them, and what it was answered.

The conversation is a true one, with the real command over the tables of an invented life. What a
model would say to its person is composed here of the rows that came back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mcp.client.client import Client

from personal_pipeline.demo.drops import write_drops
from personal_pipeline.home import Home
from personal_pipeline.refresh import refresh
from personal_pipeline_tests.assistant.marked_life import SHARED, build_marked
from personal_pipeline_tests.assistant.talk import Reply, ask, talk
from personal_pipeline_tests.invented_house import Services, drop_exports, invented_services

PAGE = Path(__file__).parents[2] / "docs" / "mcp-session.md"
ROWS_SHOWN = 6

HEAD = f"""\
# A session with a language model

Three questions to the tables of the invented life, through `personal-pipeline mcp`
([how](mcp.md)). The tool calls and what came back are true; `make session` writes this page, and a
test compares it. The sentences at the end of each question are composed by a script in place of a
model, from the rows that came back. Shared are the areas `{SHARED}`, without words
of others.
"""


@dataclass
class Page:
    """What was said, as Markdown."""

    client: Client
    lines: list[str] = field(default_factory=list)

    def question(self, text: str) -> None:
        self.lines += [f"## {text}", ""]

    async def asked(self, tool: str, columns: Sequence[str], **arguments: object) -> Reply:
        """Call a tool, and show some columns of what came back."""
        reply = await ask(self.client, tool, **arguments)
        assert not reply.refused, reply.text
        given = json.dumps(arguments, ensure_ascii=False)
        self.lines += [f"`{tool}` `{given}`", ""]
        self.lines += _table(columns, reply.rows[:ROWS_SHOWN])
        more = len(reply.rows) - ROWS_SHOWN
        left_out = f"{more} more rows. " if more > 0 else ""
        as_of = reply.said["as_of"]
        sources = ", ".join(
            f"{each['source']} {each['state']}, newest {each['newest_data']}"
            for each in as_of["sources"]
        )
        notes = " ".join(reply.said["notes"])
        self.lines += [
            f"{left_out}Tables of {as_of['published_at']}; {sources}. {notes}".rstrip(),
            "",
        ]
        return reply

    def answer(self, *sentences: str) -> None:
        self.lines += [*(f"> {each}" for each in sentences), ""]


def _table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return [*(f"| {' | '.join(each)} |" for each in lines), ""]


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|")


def _hours(minutes: float) -> str:
    return f"{int(minutes) // 60} h {int(minutes) % 60:02} min"


async def _converse(client: Client) -> str:
    page = Page(client)

    page.question("What did I spend on groceries last month?")
    october = {"since": "2025-10-01", "until": "2025-10-31"}
    months = await page.asked("spending", ["month", "category", "spent", "transactions"], **october)
    bought = await page.asked(
        "spending", ["posted_on", "spent", "reference"], **october, category="Groceries"
    )
    (row,) = [each for each in months.rows if each["category"] == "Groceries"]
    largest = max(bought.rows, key=lambda each: each["spent"])
    page.answer(
        f"In October 2025 you spent {row['spent']:.2f} {row['currency'].upper()} on groceries, in "
        f"{row['transactions']} transactions; the largest was {largest['spent']:.2f} on "
        f"{largest['posted_on']} (`{largest['reference']}`).",
    )

    page.question("How did I sleep before my longest rides?")
    columns = ["day", "distance_km", "night_asleep_minutes", "night_deep_minutes"]
    rides = await page.asked(
        "activities",
        [*columns, "night_reference"],
        order="distance",
        kind="ride",
        limit=5,
    )
    usual = await page.asked(
        "query",
        ["nights", "asleep"],
        sql="select count(*) as nights, round(avg(asleep_minutes)) as asleep"
        " from sleep_nights where is_counted and not is_nap",
    )
    nights = [each["night_asleep_minutes"] for each in rides.rows]
    first = rides.rows[0]
    page.answer(
        f"Before your {len(nights)} longest rides you slept {_hours(sum(nights) / len(nights))} on "
        f"average; of all {usual.rows[0]['nights']} nights the average is "
        f"{_hours(usual.rows[0]['asleep'])}. Before the longest, {first['distance_km']} km on "
        f"{first['day']} (`{first['reference']}`), it was {_hours(first['night_asleep_minutes'])} "
        f"(`{first['night_reference']}`).",
    )

    page.question("What happened on that day?")
    day = await page.asked(
        "day", ["local_at", "kind", "title", "detail", "amount", "reference"], day=first["day"]
    )
    told = [each for each in day.rows if each["title"]]
    page.answer(
        f"On {first['day']}:",
        *(
            f"- {each['title']}{', ' + each['detail'] if each['detail'] else ''} "
            f"(`{each['reference']}`)"
            for each in told
        ),
    )
    return "\n".join([HEAD, *page.lines]).rstrip() + "\n"


def session(services: Services, home: Home) -> str:
    """The page. ``home`` is that of ``build_marked``."""
    environment = services.environment(home, PERSONAL_PIPELINE_MODELS=SHARED)
    return talk(environment, _converse)[0]


def main() -> None:
    """Write the page into the checkout; builds the home for it, which takes a minute."""
    with invented_services() as services, TemporaryDirectory() as folder:
        home = Home(Path(folder) / "built").ensure()
        exports = write_drops(services.life, Path(folder) / "exports")
        drop_exports(exports, home)
        assert not refresh(services.house(home)).failures
        marked = build_marked(services, exports, home, Path(folder) / "marked")
        PAGE.write_text(session(services, marked), encoding="utf-8")


if __name__ == "__main__":
    main()
