"""Every output of the house, listed by hand, and the exports that a home declares."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from personal_pipeline.exports import exports_of
from personal_pipeline.house import House
from personal_pipeline.outputs.contract import Board, Due, Output, Written
from personal_pipeline.outputs.morning import DAILY_REPORT, MONTHLY_REPORT
from personal_pipeline.search.index import SEARCH
from personal_pipeline.site.tables import SITE
from personal_pipeline.told import recall
from personal_pipeline.troubles import sentence_of


def _of_the_timeline(tables: Collection[str]) -> list[str]:
    return [each for each in tables if each == "marts/timeline"]


DAY_PAGES = Output(
    name="day_pages",
    description=(
        "A page per local day, morning to night, and the same day of other years. Made when "
        "somebody opens it: in the site, or with `personal-pipeline day DATE --html FILE`."
    ),
    kinds=frozenset({"html"}),
    write=None,
    reads=_of_the_timeline,
    due=Due.ASKED,
)

OUTPUTS: tuple[Output, ...] = (DAILY_REPORT, MONTHLY_REPORT, SITE, SEARCH, DAY_PAGES)


def outputs_of(house: House) -> tuple[Output, ...]:
    """The outputs of a home, its exports last."""
    return (*OUTPUTS, *exports_of(house.home))


@dataclass(slots=True)
class OutputResults:
    """What became of the outputs, by name; None for one that was up to date."""

    written: dict[str, Written | None] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    """One sentence per output that could not be written."""

    @property
    def news(self) -> bool:
        """Whether anything was written."""
        return any(self.written.values())


def write_outputs(house: House, board: Board) -> OutputResults:
    """Bring every output up to date. One that fails does not prevent the next."""
    results = OutputResults()
    told = recall(house.home).outputs
    for output in outputs_of(house):
        if output.write:
            # one that was written outside of a pass, or before Dagster's history was deleted, is
            # written once more to be told
            again = output.name not in told and output.due is Due.DAILY
            try:
                results.written[output.name] = output.write(house, board, again)
            except Exception as error:  # the others are written all the same
                results.failures.append(sentence_of(error, house.home.root))
    return results
