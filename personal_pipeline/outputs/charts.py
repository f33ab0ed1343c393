"""Charts: drawn by Altair, embedded into the page as SVG, in the colours of the page.

Each chart is drawn twice, for desktop and for phone, because text in a scaled-down image is
unreadable. Colours become CSS variables, so a chart follows light, dark and print without being
drawn again. Nothing is fetched, and no JavaScript is needed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import altair as alt
import vl_convert
from altair.utils import schemapi

from personal_pipeline.outputs.drawings import drawn
from personal_pipeline.outputs.formats import MONTHS, Number, plain_day

# checking every part of a chart against Vega-Lite's schema doubles the time of a report; the tests
# of charts check them
schemapi.disable_debug_mode()

AnyChart: TypeAlias = alt.Chart | alt.LayerChart | alt.FacetChart

WIDE = 800
NARROW = 350

# The colours of the charts; the page's stylesheet has a variable for each.
INK = "#1b2430"
MUTED = "#5a6573"
GRID = "#e1e4e8"
SURFACE = "#fffffe"
FIRST = "#1f6cab"
FIRST_PALE = "#a8c9e4"
SECOND = "#c25700"
THIRD = "#6b7480"

_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    SURFACE: "--surface",
    FIRST: "--first",
    FIRST_PALE: "--first-pale",
    SECOND: "--second",
    THIRD: "--third",
}

_CONFIG: dict[str, Any] = {
    "aria": False,
    "background": None,
    "font": "sans-serif",
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "domainColor": GRID,
        "gridColor": GRID,
        "labelColor": MUTED,
        "labelFontSize": 12,
        "tickColor": GRID,
        "title": None,
    },
    "axisX": {"grid": False, "labelPadding": 6, "ticks": False},
    "axisY": {"domain": False, "labelPadding": 8, "ticks": False},
}

_SAID_BY_THE_PAGE = re.compile(
    r' (?:font-family|class|role|aria-[a-z]+|pointer-events|xmlns:xlink|version)="[^"]*"'
    r'| (?:stroke-width|opacity)="1"'
)
_TAG = re.compile(r"<[^>]+>")
_NOTHING_DRAWN = re.compile(r'<path [^>]*\bd="(?:M0,0h0v0h0Z)?"[^>]*/>')


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a chart's legend: its label, its colour's variable, and a shape."""

    label: str
    variable: str
    shape: str = "box"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart as two SVG texts. ``description`` is its text alternative."""

    wide: str
    narrow: str
    description: str
    legend: tuple[Key, ...] = ()


def _svg(chart: AnyChart, width: int, height: int) -> str:
    specification = {
        **chart.to_dict(validate=schemapi.DEBUG_MODE),
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "config": _CONFIG,
    }

    def draw() -> str:
        svg: str = vl_convert.vegalite_to_svg(
            specification, vl_version=_vega_lite(), show_warnings=False, allowed_base_urls=[]
        )
        # tags only: a title may contain anything, including what looks like an attribute
        svg = _TAG.sub(lambda tag: _tidy(tag[0]), svg)
        return svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)

    return drawn(specification, _version(), draw)


@cache
def _version() -> str:
    """Identifies everything that decides how a specification is drawn."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return f"{code} {version('vl-convert-python')}"


def _tidy(tag: str) -> str:
    """One tag with the page's colours, without what the page sets itself or what draws nothing."""
    if _NOTHING_DRAWN.fullmatch(tag):
        return ""
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(f'"{colour}"', f'"var({variable})"')
    tag = _SAID_BY_THE_PAGE.sub("", tag)
    # a hundredth of a pixel is finer than any screen
    return re.sub(
        r"\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), tag
    )


def _vega_lite() -> str:
    """The Vega-Lite version that Altair writes, as named by vl-convert: v6.4.1 is 6.4."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def _picture(
    build: Callable[[bool], AnyChart],
    *,
    description: str,
    height: int = 220,
    legend: tuple[Key, ...] = (),
) -> Picture:
    return Picture(
        wide=_svg(build(False), WIDE, height),
        narrow=_svg(build(True), NARROW, height),
        description=description,
        legend=legend,
    )


def _data(rows: Iterable[dict[str, Any]]) -> alt.InlineData:
    return alt.InlineData(values=list(rows))


def _numbers_axis(values: Iterable[Number | None]) -> alt.Axis:
    largest = max((abs(float(value)) for value in values if value is not None), default=0)
    if largest >= 10_000:
        return alt.Axis(format="~s", labelExpr="datum.value == 0 ? '0' : datum.label", tickCount=4)
    # no ticks between whole numbers: there is no half subscriber
    return alt.Axis(format=",.0f", tickCount=4, tickMinStep=1)


def _months(narrow: bool, months: Sequence[date], padding: float = 0.2) -> alt.X:
    """Months by name, with the year below the first and below each January; on a phone every
    third."""
    step = 1 if len(months) <= 9 else 3 if narrow else 1 if len(months) <= 13 else 2
    shown = [month for month in months if (month.month - 1) % step == 0]
    labels = {
        month: [
            MONTHS[month.month - 1][:3],
            str(month.year) if month.month == 1 or month == shown[0] else "",
        ]
        for month in shown
    }
    return _bands("month", labels, padding)


def _days(narrow: bool, days: Sequence[date]) -> alt.X:
    """Days by day and month: the most recent one, and back from it in steps of whole weeks."""
    step = 7 * max(1, round(len(days) / (4 if narrow else 9) / 7))
    labels = {day: [f"{day.day} {MONTHS[day.month - 1][:3]}"] for day in days[::-1][::step]}
    return _bands("day", labels, 0.2)


def _weeks(narrow: bool, weeks: Sequence[date]) -> alt.X:
    """Weeks by their first day: the most recent one, and back from it in regular steps."""
    step = max(1, round(len(weeks) / (4 if narrow else 9)))
    labels = {day: [f"{day.day} {MONTHS[day.month - 1][:3]}"] for day in weeks[::-1][::step]}
    return _bands("week", labels, 0.2)


def _bands(field: str, labels: Mapping[date, list[str]], padding: float) -> alt.X:
    written = json.dumps({str(day): lines for day, lines in labels.items()})
    return alt.X(
        f"{field}:O",
        scale=alt.Scale(padding=padding),
        axis=alt.Axis(
            values=list(map(str, labels)),
            labelAngle=0,
            labelOverlap=False,
            labelExpr=f"({written})[datum.value]",
        ),
    )


def _instants(narrow: bool, days: Sequence[date]) -> alt.X:
    """Days on a time axis: labelled by month if they span many, else by day."""
    many = (days[-1] - days[0]).days > 180
    return alt.X(
        "day:T",
        scale=alt.Scale(type="utc"),
        axis=alt.Axis(
            labelExpr=(
                "[utcFormat(datum.value, '%b'), utcFormat(datum.value, '%Y')]"
                if many
                else "utcFormat(datum.value, '%-d %b')"
            ),
            labelOverlap=True,
            tickCount=4 if narrow else 8,
        ),
    )


def _paleness(period: date, unfinished: date | None) -> float:
    return 0.55 if period == unfinished else 1


def views_by_month(
    months: Sequence[tuple[date, int | None, int | None]], unfinished: date | None
) -> Picture:
    """Views per month as bars with the reads in front; ``unfinished`` is the current month."""
    rows = [
        {
            "month": str(month),
            "views": views,
            "reads": reads,
            "opacity": _paleness(month, unfinished),
        }
        for month, views, reads in months
    ]
    axis = _numbers_axis(views for _, views, _ in months)

    def build(narrow: bool) -> AnyChart:
        base = alt.Chart(_data(rows)).encode(
            x=_months(narrow, [month for month, _, _ in months]),
            opacity=alt.Opacity("opacity:Q", scale=None),
        )
        return alt.layer(
            base.mark_bar(color=FIRST_PALE).encode(y=alt.Y("views:Q", axis=axis)),
            base.mark_bar(color=FIRST).encode(y=alt.Y("reads:Q", axis=axis)),
        )

    return _picture(
        build,
        description=f"Bars of views and reads for each of {len(rows)} months.",
        legend=(Key("Views", "--first-pale"), Key("Reads", "--first")),
    )


def amounts_by_day(
    days: Sequence[tuple[date, Number | None, float | None]], what: str, mean_of: int = 7
) -> Picture:
    """An amount per day as bars, with a moving average as a line.

    Rows are (day, amount, mean).
    """
    rows = [
        {"day": str(day), "amount": None if amount is None else float(amount), "mean": mean}
        for day, amount, mean in days
    ]
    axis = _numbers_axis(amount for _, amount, _ in days)

    def build(narrow: bool) -> AnyChart:
        base = alt.Chart(_data(rows)).encode(x=_days(narrow, [row[0] for row in days]))
        return alt.layer(
            base.mark_bar(color=FIRST_PALE).encode(y=alt.Y("amount:Q", axis=axis)),
            base.mark_line(color=FIRST, strokeWidth=2, interpolate="monotone").encode(
                y=alt.Y("mean:Q", axis=axis)
            ),
        )

    return _picture(
        build,
        description=(
            f"{what} on each of {len(rows)} days, with the mean of {mean_of} days as a line."
        ),
        height=200,
        legend=(
            Key(f"{what} on the day", "--first-pale"),
            Key(f"Mean of {mean_of} days", "--first", "line"),
        ),
    )


def ranked(
    items: Sequence[tuple[str, int, bool]], *, description: str, legend: tuple[Key, ...] = ()
) -> Picture:
    """Horizontal bars under their labels, the largest first; a marked item has its own colour."""
    largest = max((value for _, value, _ in items), default=0)

    def build(narrow: bool) -> AnyChart:
        room = 46 if narrow else 110
        rows = [
            {
                "place": place,
                "label": label if len(label) <= room else f"{label[: room - 1].rstrip()}\u2026",
                "value": value,
                "number": f"{value:,}",
                "colour": SECOND if marked else FIRST,
            }
            for place, (label, value, marked) in enumerate(items)
        ]
        base = alt.Chart(_data(rows)).encode(
            y=alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0)),
        )
        length = alt.X(
            "value:Q",
            axis=None,
            scale=alt.Scale(domain=[0, max(largest, 1) * (1.2 if narrow else 1.08)]),
        )
        bars = base.mark_bar(height=10, yOffset=9).encode(
            x=length, color=alt.Color("colour:N", scale=None)
        )
        labels = base.mark_text(align="left", dy=-6, fontSize=13, color=INK).encode(
            x=alt.value(1), text="label:N"
        )
        numbers = base.mark_text(align="left", dx=6, dy=10, fontSize=12, color=MUTED).encode(
            x=length, text="number:N"
        )
        return alt.layer(bars, labels, numbers)

    return _picture(build, description=description, height=38 * len(items) + 4, legend=legend)


def boosted_stories(
    stories: Sequence[tuple[int, bool]], medians: Sequence[tuple[bool, float]]
) -> Picture:
    """Every story as a dot by its views (log scale), boosted ones above the others, medians as
    bars."""
    names = {True: "Boosted", False: "Others"}
    dots = [
        {
            "group": names[boosted],
            "views": views,
            # deterministic jitter, so that a story is at the same place every day
            "spread": (index * 0.618034) % 1 - 0.5,
            "colour": SECOND if boosted else FIRST,
        }
        for index, (views, boosted) in enumerate(stories)
        if views > 0
    ]
    middles = [{"group": names[boosted], "views": views} for boosted, views in medians if views > 0]
    order = list(names.values())
    low, high = min(views for views, _ in stories), max(views for views, _ in stories)

    def steps(narrow: bool) -> tuple[int, ...]:
        return (1,) if narrow and high > 300 * low else (1, 3) if narrow else (1, 2, 5)

    def build(narrow: bool) -> AnyChart:
        x = alt.X(
            "views:Q",
            scale=alt.Scale(type="log", domain=[low * 0.8, high * 1.25], nice=False),
            axis=alt.Axis(
                values=[10**power * first for power in range(12) for first in steps(narrow)],
                format="~s",
                grid=True,
                labelOverlap=True,
            ),
        )
        y = alt.Y("group:N", sort=order, axis=alt.Axis(labelColor=INK, labelFontSize=13))
        return alt.layer(
            alt.Chart(_data(dots))
            .mark_circle(size=42, opacity=0.6)
            .encode(
                x=x,
                y=y,
                yOffset=alt.YOffset("spread:Q", scale=alt.Scale(domain=[-0.9, 0.9])),
                color=alt.Color("colour:N", scale=None),
            ),
            alt.Chart(_data(middles)).mark_tick(color=INK, thickness=3, height=58).encode(x=x, y=y),
        )

    return _picture(
        build,
        description="Each story as a dot by its views, boosted stories above the others.",
        height=190,
        legend=(
            Key("A boosted story", "--second", "dot"),
            Key("Another story", "--first", "dot"),
            Key("Median", "--ink", "line"),
        ),
    )


def active_subscribers(days: Sequence[tuple[date, int]]) -> Picture:
    """Active subscribers by day, as a line."""
    rows = [{"day": str(day), "active": active} for day, active in days]
    low, high = min(active for _, active in days), max(active for _, active in days)
    # from zero if the growth is large relative to the level, else the line would be flat at the top
    bottom = 0 if low < high * 0.6 else max(0, low - (high - low))
    axis = _numbers_axis([high])

    def build(narrow: bool) -> AnyChart:
        base = alt.Chart(_data(rows)).encode(
            x=_instants(narrow, [day for day, _ in days]),
            y=alt.Y(
                "active:Q",
                axis=axis,
                scale=alt.Scale(domainMin=bottom, zero=bottom == 0, nice=True),
            ),
        )
        line = base.mark_line(color=FIRST, strokeWidth=2)
        # an area implies a baseline of zero: it would mislead if the axis starts elsewhere
        return line if bottom else alt.layer(base.mark_area(color=FIRST_PALE, opacity=0.45), line)

    return _picture(
        build,
        description=(
            f"Line of active subscribers from {plain_day(days[0][0])} to "
            f"{plain_day(days[-1][0])}: lowest {low:,}, highest {high:,}."
        ),
    )


def joined_and_left(
    months: Sequence[tuple[date, int | None, int | None, int | None]], unfinished: date | None
) -> Picture:
    """New subscribers upwards and cancelled ones downwards by month, with the net as a line."""
    rows = [
        {
            "month": str(month),
            "new": new,
            "cancelled": None if cancelled is None else -cancelled,
            "net": net,
            "opacity": _paleness(month, unfinished),
        }
        for month, new, cancelled, net in months
    ]
    axis = _numbers_axis(value for _, new, cancelled, _ in months for value in (new, cancelled))

    def build(narrow: bool) -> AnyChart:
        base = alt.Chart(_data(rows)).encode(x=_months(narrow, [row[0] for row in months]))
        bars = base.encode(opacity=alt.Opacity("opacity:Q", scale=None))
        return alt.layer(
            bars.mark_bar(color=FIRST).encode(y=alt.Y("new:Q", axis=axis)),
            bars.mark_bar(color=SECOND).encode(y=alt.Y("cancelled:Q", axis=axis)),
            # an outline separates the line from the bars, in light and in dark
            base.mark_line(color=SURFACE, strokeWidth=4).encode(y=alt.Y("net:Q", axis=axis)),
            base.mark_line(color=INK, strokeWidth=1.5).encode(y=alt.Y("net:Q", axis=axis)),
            base.mark_circle(color=INK, size=22, opacity=1).encode(y=alt.Y("net:Q", axis=axis)),
        )

    return _picture(
        build,
        description=f"New and cancelled subscribers, and the net, over {len(rows)} months.",
        legend=(
            Key("New", "--first"),
            Key("Cancelled", "--second"),
            Key("Net", "--ink", "line"),
        ),
    )


def broadcast_rates(broadcasts: Sequence[tuple[date, float | None, float | None]]) -> Picture:
    """Open and click rates of broadcasts in percent, by the day of sending, oldest first."""
    rows = [
        {"day": str(day), "opened": opened, "clicked": clicked}
        for day, opened, clicked in broadcasts
    ]

    def build(narrow: bool) -> AnyChart:
        base = alt.Chart(_data(rows)).encode(x=_instants(narrow, [row[0] for row in broadcasts]))
        axis = alt.Axis(labelExpr="datum.label + '%'", tickCount=4)
        layers: list[alt.Chart] = []
        for field, colour in (("opened", FIRST), ("clicked", SECOND)):
            y = alt.Y(f"{field}:Q", axis=axis, scale=alt.Scale(domainMin=0))
            layers.append(base.mark_line(color=colour, strokeWidth=1.5).encode(y=y))
            layers.append(base.mark_circle(color=colour, size=46, opacity=1).encode(y=y))
        return alt.layer(*layers)

    return _picture(
        build,
        description=f"Open rate and click rate of the last {len(rows)} broadcasts.",
        height=190,
        legend=(Key("Opened", "--first", "dot"), Key("Clicked", "--second", "dot")),
    )


def side_by_side(
    months: Sequence[tuple[date, Number | None, Number | None]],
    names: tuple[str, str],
    unfinished: date | None,
) -> Picture:
    """Two amounts per month side by side."""
    rows = [
        {
            "month": str(month),
            "who": who,
            "amount": None if amount is None else float(amount),
            "colour": colour,
            "opacity": _paleness(month, unfinished),
        }
        for month, first, second in months
        for who, amount, colour in ((names[0], first, FIRST), (names[1], second, SECOND))
    ]
    axis = _numbers_axis(amount for _, *amounts in months for amount in amounts)

    def build(narrow: bool) -> AnyChart:
        chart: alt.Chart = (
            alt.Chart(_data(rows))
            .mark_bar()
            .encode(
                x=_months(narrow, [month for month, _, _ in months]),
                xOffset=alt.XOffset("who:N", sort=list(names)),
                y=alt.Y("amount:Q", axis=axis),
                color=alt.Color("colour:N", scale=None),
                opacity=alt.Opacity("opacity:Q", scale=None),
            )
        )
        return chart

    return _picture(
        build,
        description=f"{names[0]} and {names[1]} beside each other for {len(months)} months.",
        legend=(Key(names[0], "--first"), Key(names[1], "--second")),
    )


def gross_to_net(
    months: Sequence[tuple[date, Number | None, Number | None, Number | None, Number | None]],
    unfinished: date | None,
) -> Picture:
    """Gross above the line, fees and deductions below it, the net as a mark, by month.

    Rows are (month, gross, fees, deductions, net).
    """
    bars = [
        {
            "month": str(month),
            "amount": sign * max(float(amount), 0),
            "colour": colour,
            "order": order,
            "opacity": _paleness(month, unfinished),
        }
        for month, gross, fees, back, _ in months
        for order, (amount, sign, colour) in enumerate(
            ((gross, 1, FIRST_PALE), (fees, -1, THIRD), (back, -1, SECOND))
        )
        if amount is not None
    ]
    nets = [
        {"month": str(month), "amount": float(net)}
        for month, _, _, _, net in months
        if net is not None
    ]
    axis = _numbers_axis(gross for _, gross, _, _, _ in months)

    def build(narrow: bool) -> AnyChart:
        x = _months(narrow, [month[0] for month in months])
        return alt.layer(
            alt.Chart(_data(bars))
            .mark_bar()
            .encode(
                x=x,
                y=alt.Y("amount:Q", axis=axis, stack="zero"),
                color=alt.Color("colour:N", scale=None),
                order="order:Q",
                opacity=alt.Opacity("opacity:Q", scale=None),
            ),
            alt.Chart(_data(nets))
            .mark_tick(color=INK, thickness=2.5, width={"band": 0.9})
            .encode(x=x, y=alt.Y("amount:Q", axis=axis)),
        )

    return _picture(
        build,
        description=f"Gross, fees, refunds with disputes, and net for {len(months)} months.",
        legend=(
            Key("Gross", "--first-pale"),
            Key("Fees", "--third"),
            Key("Refunds, disputes and other", "--second"),
            Key("Net", "--ink", "line"),
        ),
    )


def recurring_revenue(months: Sequence[tuple[date, Number]]) -> Picture:
    """Monthly recurring revenue at the end of each month, as a line over an area from zero."""
    rows = [{"month": str(month), "mrr": float(mrr)} for month, mrr in months]
    axis = _numbers_axis(mrr for _, mrr in months)

    def build(narrow: bool) -> AnyChart:
        base = alt.Chart(_data(rows)).encode(
            x=_months(narrow, [month for month, _ in months], padding=0.5),
            y=alt.Y("mrr:Q", axis=axis),
        )
        return alt.layer(
            base.mark_area(color=FIRST_PALE, opacity=0.45),
            base.mark_line(color=FIRST, strokeWidth=2),
            base.mark_circle(color=FIRST, size=30, opacity=1),
        )

    return _picture(
        build,
        description=f"Line of monthly recurring revenue over {len(rows)} months.",
        height=190,
    )


def amounts_by_month(
    months: Sequence[tuple[date, Number]], what: str, unfinished: date | None
) -> Picture:
    """One amount per month as bars."""
    return _amounts(months, what, unfinished, "month", _months)


def amounts_by_week(
    weeks: Sequence[tuple[date, Number | None]], what: str, unfinished: date | None
) -> Picture:
    """One amount per week as bars; weeks by their first day, oldest first."""
    return _amounts(weeks, what, unfinished, "week", _weeks)


def _amounts(
    periods: Sequence[tuple[date, Number | None]],
    what: str,
    unfinished: date | None,
    period: str,
    axis_of: Callable[[bool, Sequence[date]], alt.X],
) -> Picture:
    """One amount per period as bars; ``axis_of`` makes the axis for the field of that name."""
    rows = [
        {
            period: str(first),
            "amount": None if amount is None else float(amount),
            "opacity": _paleness(first, unfinished),
        }
        for first, amount in periods
    ]
    axis = _numbers_axis(amount for _, amount in periods)

    def build(narrow: bool) -> AnyChart:
        chart: alt.Chart = (
            alt.Chart(_data(rows))
            .mark_bar(color=FIRST)
            .encode(
                x=axis_of(narrow, [first for first, _ in periods]),
                y=alt.Y("amount:Q", axis=axis),
                opacity=alt.Opacity("opacity:Q", scale=None),
            )
        )
        return chart

    description = f"Bars of {what} for each of {len(rows)} {period}s."
    return _picture(build, description=description, height=170)


LINES = ((FIRST, "--first"), (SECOND, "--second"), (THIRD, "--third"), (INK, "--ink"))
"""The colours of lines in a shared chart, and their variables."""


def balances(accounts: Sequence[tuple[str, Sequence[tuple[date, Number | None]]]]) -> Picture:
    """The balance of each account by day, as lines with gaps where it is unknown.

    There are at most as many accounts as ``LINES``; all have the same days, oldest first.
    """
    coloured = list(zip(accounts, LINES, strict=False))
    rows = [
        {
            "account": str(place),
            "day": str(day),
            "balance": None if balance is None else float(balance),
            "colour": colour,
        }
        for place, ((_, days), (colour, _)) in enumerate(coloured)
        for day, balance in days
    ]
    everywhere = [day for _, days in accounts for day, _ in days]
    axis = _numbers_axis(balance for _, days in accounts for _, balance in days)

    def build(narrow: bool) -> AnyChart:
        chart: alt.Chart = (
            alt.Chart(_data(rows))
            .mark_line(strokeWidth=2, interpolate="step-after", invalid="break-paths-show-domains")
            .encode(
                x=_instants(narrow, [min(everywhere), max(everywhere)]),
                y=alt.Y("balance:Q", axis=axis),
                color=alt.Color("colour:N", scale=None),
                detail="account:N",
            )
        )
        return chart

    return _picture(
        build,
        description=(
            f"Lines of the balance of {len(coloured)} accounts from {plain_day(min(everywhere))} "
            f"to {plain_day(max(everywhere))}, with gaps where it is unknown."
        ),
        legend=tuple(Key(name, variable, "line") for (name, _), (_, variable) in coloured),
    )


def spent_against(
    items: Sequence[tuple[str, Number, Number | None, str]], names: tuple[str, str]
) -> Picture:
    """Horizontal bars under their labels, largest first, with a mark at the previous value.

    Rows are (label, value, previous value, the value in words).
    """
    largest = max((float(n) for _, *pair, _ in items for n in pair if n is not None), default=0)

    def build(narrow: bool) -> AnyChart:
        room = 34 if narrow else 80
        rows = [
            {
                "place": place,
                "label": label if len(label) <= room else f"{label[: room - 1].rstrip()}\u2026",
                "value": float(value),
                "before": None if before is None else float(before),
                "number": number,
            }
            for place, (label, value, before, number) in enumerate(items)
        ]
        base = alt.Chart(_data(rows)).encode(
            y=alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0)),
        )
        scale = alt.Scale(domain=[0, (largest or 1) * (1.2 if narrow else 1.1)])

        def length(field: str) -> alt.X:
            return alt.X(f"{field}:Q", axis=None, scale=scale)

        return alt.layer(
            base.mark_bar(height=10, yOffset=9, color=FIRST).encode(x=length("value")),
            base.mark_tick(color=SECOND, thickness=2.5, height=16, yOffset=9).encode(
                x=length("before")
            ),
            base.mark_text(align="left", dy=-6, fontSize=13, color=INK).encode(
                x=alt.value(1), text="label:N"
            ),
            base.mark_text(align="right", dy=-6, fontSize=12, color=MUTED).encode(
                x=alt.value("width"), text="number:N"
            ),
        )

    return _picture(
        build,
        description=f"Bars of spending in {len(items)} categories, {names[0]}, with marks for "
        f"{names[1]}.",
        height=38 * len(items) + 4,
        legend=(Key(names[0], "--first"), Key(names[1], "--second", "line")),
    )


def readings_by_day(
    days: Sequence[tuple[date, Number | None, float | None]], what: str, mean_of: int = 7
) -> Picture:
    """Readings as dots, with a moving average as a line with gaps where it is unknown: rows are
    (day, reading, mean). The axis does not start at zero."""
    rows = [
        {"day": str(day), "reading": None if reading is None else float(reading), "mean": mean}
        for day, reading, mean in days
    ]
    read = [float(reading) for _, reading, _ in days if reading is not None]
    room = (max(read) - min(read) or 1) * 0.08
    scale = alt.Scale(domain=[min(read) - room, max(read) + room], zero=False, nice=True)
    axis = alt.Axis(format="~r", tickCount=4)

    def build(narrow: bool) -> AnyChart:
        base = alt.Chart(_data(rows)).encode(x=_instants(narrow, [day for day, _, _ in days]))
        return alt.layer(
            base.mark_circle(color=FIRST_PALE, size=26, opacity=1).encode(
                y=alt.Y("reading:Q", axis=axis, scale=scale)
            ),
            base.mark_line(
                color=FIRST,
                strokeWidth=2,
                interpolate="monotone",
                invalid="break-paths-show-domains",
            ).encode(y=alt.Y("mean:Q", axis=axis, scale=scale)),
        )

    return _picture(
        build,
        description=(
            f"{what} from {plain_day(days[0][0])} to {plain_day(days[-1][0])}: lowest "
            f"{min(read):.4g}, highest {max(read):.4g}; the mean of {mean_of} days as a line."
        ),
        height=190,
        legend=(
            Key(f"{what} on the day", "--first-pale", "dot"),
            Key(f"Mean of {mean_of} days", "--first", "line"),
        ),
    )


SLEEP_STAGES = (
    ("Deep", FIRST, "--first"),
    ("Core", FIRST_PALE, "--first-pale"),
    ("REM", SECOND, "--second"),
    ("Stage unknown", THIRD, "--third"),
)
"""The stages of a night from the bottom of its bar to the top."""


def sleep_by_stage(nights: Sequence[tuple[date, Sequence[Number | None]]]) -> Picture:
    """Minutes asleep as one bar per night, stacked in the order of ``SLEEP_STAGES``."""
    shown = [
        place
        for place, _ in enumerate(SLEEP_STAGES)
        if any(minutes[place] for _, minutes in nights)
    ]
    rows = [
        {
            "day": str(day),
            "hours": float(minutes[place] or 0) / 60,
            "place": place,
            "colour": SLEEP_STAGES[place][1],
        }
        for day, minutes in nights
        for place in shown
    ]
    axis = alt.Axis(labelExpr="datum.label + ' h'", format=".0f", tickMinStep=1, tickCount=5)

    def build(narrow: bool) -> AnyChart:
        chart: alt.Chart = (
            alt.Chart(_data(rows))
            .mark_bar()
            .encode(
                x=_days(narrow, [day for day, _ in nights]),
                y=alt.Y("hours:Q", axis=axis, stack="zero"),
                color=alt.Color("colour:N", scale=None),
                order="place:Q",
            )
        )
        return chart

    return _picture(
        build,
        description=f"Bars of the hours asleep in each of {len(nights)} nights, by stage.",
        legend=tuple(Key(SLEEP_STAGES[place][0], SLEEP_STAGES[place][2]) for place in shown),
    )


def trend(values: Sequence[Number | None]) -> str:
    """A sparkline, small enough to be next to a number, as one SVG text.

    Its last known point has a dot. Empty if fewer than two values are known.
    """
    rows = [
        {"place": place, "value": float(value)}
        for place, value in enumerate(values)
        if value is not None
    ]
    if len(rows) < 2:
        return ""
    low, high = min(row["value"] for row in rows), max(row["value"] for row in rows)
    room = (high - low or 1) * 0.08
    encode = {
        "x": alt.X("place:Q", axis=None, scale=alt.Scale(domain=[-0.5, len(values) - 0.5])),
        "y": alt.Y(
            "value:Q", axis=None, scale=alt.Scale(domain=[low - room, high + room], nice=False)
        ),
    }
    line = alt.Chart(_data(rows)).mark_line(color=FIRST, strokeWidth=1.5).encode(**encode)
    dot = alt.Chart(_data(rows[-1:])).mark_circle(color=FIRST, size=24, opacity=1).encode(**encode)
    return _svg(alt.layer(line, dot), 116, 34)
