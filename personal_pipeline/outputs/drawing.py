"""Drawing charts as SVG: a frame with its axes, and the marks inside it.

A drawing is one text for the screen, the phone and the paper: it is as wide as half a page, scales
with its place, and takes its colours from the page's CSS variables, so it follows light and dark.
All marks of a kind are one path, and what is under the pointer is said by ``<title>``, without
JavaScript.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from personal_pipeline.outputs.formats import Number, Unit
from personal_pipeline.shown import shown

WIDTH = 400
"""The width of a chart in its own units; on a phone, 12 of them are still readable."""

LIGHT = {
    "--ink": "#1b2430",
    "--muted": "#5a6573",
    "--grid": "#e1e4e8",
    "--surface": "#ffffff",
    "--first": "#1f6cab",
    "--first-pale": "#a8c9e4",
    "--second": "#c25700",
    "--third": "#6b7480",
}
"""The colours of the page in light, for what is drawn outside it."""

_TOP = 10
_BELOW = 36
"""Room for two lines of labels."""
_LINE = 14
_LETTER = 7.4
"""The width of a letter or digit of an axis, about."""
_TEXT = 12
_TICKS = 4

Values = Sequence[Number | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """Where things stand: equal slots from left to right, values from ``low`` to ``high``."""

    left: float
    bottom: float
    slots: int
    low: float
    high: float

    @property
    def slot(self) -> float:
        """The width of a slot."""
        return (WIDTH - 2 - self.left) / self.slots

    def x(self, slot: float) -> float:
        """The middle of a slot, counted from 0."""
        return self.left + (slot + 0.5) * self.slot

    def y(self, value: Number) -> float:
        """The height of a value."""
        share = (float(value) - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - _TOP)


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """About four round values, the first at or below ``low``, the last at or above ``high``."""
    if high <= low:
        high = low + 1
    rough = (high - low) / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * n for n in (1, 2, 2.5, 5, 10) if power * n >= rough * 0.999)
    if whole:
        step = max(1, math.ceil(step))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]


def frame(
    slots: int, values: Iterable[Number | None], unit: Unit, height: float, *, zero: bool = True
) -> tuple[Frame, list[float]]:
    """The frame that holds these values, and the ticks of its vertical axis."""
    known = [float(value) for value in values if value is not None]
    low, high = min(known, default=0), max(known, default=0)
    if zero:
        low, high = min(low, 0), max(high, 0)
    marked = [n * unit.of for n in ticks(low / unit.of, high / unit.of, whole=unit.whole)]
    room = max(len(unit.short(each)) for each in marked) * _LETTER + 8
    held = Frame(
        left=room, bottom=height - _BELOW, slots=max(slots, 1), low=marked[0], high=marked[-1]
    )
    return held, marked


def place(number: float) -> str:
    """A coordinate: a tenth of a unit is finer than any screen."""
    return f"{number:.1f}".removesuffix(".0").replace("-0.", "-.").removeprefix("0") or "0"


def bars(
    held: Frame,
    values: Values,
    variable: str,
    *,
    base: Values | None = None,
    left: float = 0.1,
    width: float = 0.8,
    opacity: float = 1,
) -> str:
    """A bar from ``base`` (zero) to the value in each slot, as strokes of one path; ``left`` and
    ``width`` are shares of the slot."""
    drawn = []
    for slot, value in enumerate(values):
        start = (base[slot] if base else 0) or 0
        if value is not None and value != start:
            x = held.left + (slot + left + width / 2) * held.slot
            drawn.append(f"M{place(x)} {place(held.y(start))}V{place(held.y(value))}")
    if not drawn:
        return ""
    return (
        f'<path stroke="var({variable})" stroke-width="{place(width * held.slot)}"'
        f'{_opacity(opacity)} d="{"".join(drawn)}"/>'
    )


def through(points: Iterable[tuple[float, float]]) -> str:
    """A path of straight lines through points; a point by itself is a dot, not nothing."""
    drawn = []
    before: tuple[float, float] | None = None
    for x, y in ((round(x, 1), round(y, 1)) for x, y in points):
        if before is None:
            drawn.append(f"M{place(x)} {place(y)}h0")
        else:
            across, down = place(x - before[0]), place(y - before[1])
            drawn.append(f"l{across}{'' if down.startswith('-') else ' '}{down}")
        before = x, y
    return "".join(drawn)


def line(held: Frame, values: Values, *, steps: bool = False) -> str:
    """A path through the values, broken where one is unknown; ``steps`` holds each value until the
    next."""
    drawn = []
    for known, run in groupby(enumerate(values), key=lambda pair: pair[1] is not None):
        if known:
            spots = [(held.x(slot), held.y(value)) for slot, value in run if value is not None]
            drawn.append(_steps(spots) if steps else through(spots))
    return "".join(drawn)


def _steps(spots: Sequence[tuple[float, float]]) -> str:
    """A path that holds each height until the next one."""
    drawn = [through(spots[:1])]
    height = place(spots[0][1])
    for x, y in spots[1:]:
        if place(y) != height:
            height = place(y)
            drawn.append(f"H{place(x)}V{height}")
    drawn.append(f"H{place(spots[-1][0])}")
    return "".join(drawn)


def area(held: Frame, values: Values) -> str:
    """A path that fills from the lowest tick up to the line, where it is known without a gap."""
    path = line(held, values)
    known = [slot for slot, value in enumerate(values) if value is not None]
    if not known or path.count("M") > 1:
        return ""
    bottom = place(held.bottom)
    return f"{path}L{place(held.x(known[-1]))} {bottom}H{place(held.x(known[0]))}z"


def dots(points: Iterable[tuple[float, float]]) -> str:
    """A path of points, drawn as dots by a round line cap."""
    return "".join(f"M{place(x)} {place(y)}h0" for x, y in points)


def points(held: Frame, values: Values) -> list[tuple[float, float]]:
    """The points of the values that are known."""
    return [(held.x(slot), held.y(value)) for slot, value in enumerate(values) if value is not None]


def strokes(held: Frame, values: Values, width: float) -> str:
    """A path with a horizontal stroke at each value; ``width`` is a share of the slot."""
    half = width * held.slot / 2
    return "".join(
        f"M{place(held.x(slot) - half)} {place(held.y(value))}h{place(2 * half)}"
        for slot, value in enumerate(values)
        if value is not None
    )


def filled(path: str, variable: str, opacity: float = 1) -> str:
    """A path filled with a colour of the page."""
    return f'<path fill="var({variable})"{_opacity(opacity)} d="{path}"/>' if path else ""


def stroked(path: str, variable: str, width: float, opacity: float = 1) -> str:
    """A path drawn with a colour of the page; its points are round."""
    if not path:
        return ""
    return (
        f'<path fill="none" stroke="var({variable})" stroke-width="{place(width)}" '
        f'stroke-linecap="round" stroke-linejoin="round"{_opacity(opacity)} d="{path}"/>'
    )


def _opacity(opacity: float) -> str:
    return "" if opacity == 1 else f' opacity="{place(opacity)}"'


def text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    variable: str = "--muted",
    size: float = _TEXT,
) -> str:
    """A word or a line in the drawing; ``words`` may come from anybody."""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return (
        f'<text x="{place(x)}" y="{place(y)}"{where} fill="var({variable})" '
        f'font-size="{place(size)}">{escape(shown(words))}</text>'
    )


def titled(words: str) -> str:
    """What the pointer reads; ``words`` may come from anybody."""
    return f"<title>{escape(shown(words))}</title>"


def axes(
    held: Frame, marked: Sequence[float], unit: Unit, labels: Mapping[float, Sequence[str]]
) -> str:
    """The lines and labels of the vertical axis, and the labels of slots, of up to two lines."""
    grid = "".join(f"M{place(held.left)} {place(held.y(each))}H{WIDTH - 2}" for each in marked)
    numbers = "".join(
        f'<text x="{place(held.left - 6)}" y="{place(held.y(each) + 4)}">{unit.short(each)}</text>'
        for each in marked
    )
    under = []
    for slot, lines in labels.items():
        for row, words in enumerate(filter(None, lines)):
            # a label at the edge must not leave the drawing
            half = len(words) * _LETTER / 2
            x = min(max(held.x(slot), half), WIDTH - half)
            y = held.bottom + 16 + row * _LINE
            under.append(f'<text x="{place(x)}" y="{place(y)}">{words}</text>')
    return (
        f'<path stroke="var(--grid)" d="{grid}"/><g fill="var(--muted)" font-size="{_TEXT}">'
        f'<g text-anchor="end">{numbers}</g><g text-anchor="middle">{"".join(under)}</g></g>'
    )


def said_at(held: Frame, titles: Sequence[str | None], slots: float = 1) -> str:
    """What a slot says under the pointer: an invisible stroke over its whole height, as wide as
    ``slots``."""
    told = [(round(held.x(slot)), titled(said)) for slot, said in enumerate(titles) if said]
    if not told:
        return ""
    over = "".join(f'<path d="M{x} 0v1">{said}</path>' for x, said in told)
    wide = place(held.slot * slots + 0.5)
    return (
        f'<g stroke="transparent" stroke-width="{wide}" '
        f'transform="translate(0 {_TOP})scale(1 {place(held.bottom - _TOP)})">{over}</g>'
    )


def svg(width: float, height: float, *parts: str) -> str:
    """The drawing as one text, for the page."""
    return (
        f'<svg viewBox="0 0 {place(width)} {place(height)}" aria-hidden="true" focusable="false">'
        f"{''.join(parts)}</svg>"
    )


def png(drawing: str, scale: float = 2) -> bytes:
    """A drawing as a picture for programs that show no SVG, in light colours on no background."""
    # its renderer takes a third of a second to import, and only mail needs it
    import vl_convert

    told = drawing.replace(
        "<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" ', 1
    )
    told = re.sub(r"var\((--[a-z-]+)\)", lambda found: LIGHT[found[1]], told)
    picture: bytes = vl_convert.svg_to_png(told, scale=scale)
    return picture
