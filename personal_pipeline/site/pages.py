"""The pages of a site, as a plugin of Datasette: home, reports, dashboards, queries, descriptions.

Datasette asks every plugin about every application; which site an application is, ``VIEWS`` knows.
"""

from __future__ import annotations

import asyncio
import html
import re
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import date
from typing import Any
from urllib.parse import unquote
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from datasette.app import Datasette
from datasette.utils.asgi import Base400, Forbidden, NotFound, Request, Response
from datasette.views.base import DatasetteError
from jinja2 import Environment
from jinja2.ext import Extension
from pluggy import HookimplMarker

from personal_pipeline.board import StreamState
from personal_pipeline.house import House
from personal_pipeline.ingest.lake import DamagedPartition
from personal_pipeline.life import page as life
from personal_pipeline.outputs.board import state_words, to_do
from personal_pipeline.shown import shown_lines
from personal_pipeline.site.hits import answer_to
from personal_pipeline.site.view import View, page_of
from personal_pipeline.troubles import sentence_of

DATABASE = "tables"
"""The name of the database in addresses, whoever's site it is."""

hookimpl = HookimplMarker("datasette")

VIEWS: WeakKeyDictionary[Datasette, View] = WeakKeyDictionary()

LOCALS_PRINTED = "datasette.handle_exception"
"""Datasette's own answer to an error, which ours replaces."""

Route = tuple[str, Callable[..., Any]]


class Nonces(Extension):
    """Marks every script of every template as ours. A script that got into a page by other means,
    such as through a text of somebody else, is not marked, and the browser does not run it."""

    def preprocess(
        self,
        source: str,
        name: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
    ) -> str:
        """The source of a template, marked."""
        return source.replace("<script", '<script nonce="{{ nonce }}"')


@hookimpl
def prepare_jinja2_environment(env: Environment) -> None:
    """Before the first page."""
    env.add_extension(Nonces)


@hookimpl
def extra_template_vars(datasette: Datasette, request: Request | None) -> dict[str, Any]:
    """What every template of ours may use."""
    view = VIEWS[datasette]
    return {
        "nonce": request.scope.get("nonce", "") if request else "",
        "dashboards": view.shown().dashboards,
        "has_reports": bool(view.reports()),
        "person": view.person.name if view.person else None,
    }


@hookimpl
def register_routes() -> Sequence[Route]:
    """Ours come before Datasette's own and those of other plugins."""
    return (
        (r"^/$", home_page),
        (r"^/reports$", reports_page),
        # with the ending, because reports link to each other as files do
        (r"^/reports/(?P<name>latest|[0-9-]{4,10})(?:\.html)?$", report_page),
        (r"^/-/day/(?P<day>today|[0-9]{4}-[0-9]{2}-[0-9]{2})$", day_page),
        (r"^/-/on-this-day$", on_this_day_page),
        (r"^/-/raw/(?P<named>.+)$", raw_page),
        (r"^/-/dashboards$", home_page),
        (r"^/-/dashboards/(?P<name>[a-z0-9_-]+)$", dashboard_page),
        (r"^/-/dashboards/.+$", nothing),
        (r"^/-/search$", search_page),
        (r"^/-/search\.json$", search_hits),
    )


@hookimpl
def canned_queries(datasette: Datasette, database: str) -> dict[str, dict[str, Any]]:
    """The charts' queries and the person's own: each is a page with its SQL and rows."""
    if database != DATABASE:
        return {}
    shown = VIEWS[datasette].shown()
    charts = {
        f"{name}-{each}": {"sql": chart.query, "title": f"{dashboard.title}: {chart.title}"}
        for name, dashboard in shown.dashboards.items()
        for each, chart in dashboard.charts.items()
    }
    own = {
        name: {"sql": query.sql, "title": query.title, "description": query.description}
        for name, query in shown.queries.items()
    }
    return charts | own


@hookimpl
def get_metadata(datasette: Datasette) -> dict[str, Any]:
    """Descriptions, from dbt's."""
    view = VIEWS.get(datasette)
    if view is None or not view.path.exists():
        return {}
    hidden = {name: {"hidden": True} for name in ("_tables", "_columns", "_partitions")}
    return {"databases": {DATABASE: {"tables": view.described() | hidden}}}


@hookimpl
def handle_exception(datasette: Datasette, request: Request, exception: Exception) -> Any:
    """Instead of Datasette's, which prints the values of all variables: somebody's data."""

    async def answer() -> Response:
        status, title, said = 500, "Something went wrong", "This is a bug in personal_pipeline."
        if isinstance(exception, Base400):
            status, title, said = exception.status, f"Error {exception.status}", f"{exception}"
        elif isinstance(exception, DatasetteError):
            status, said = exception.status, re.sub(r"<[^>]*>", " ", str(exception.message))
            title = exception.title or f"Error {status}"
        else:
            sys.stderr.write(f"{sentence_of(exception)}\n")
        told = {"ok": False, "status": status, "title": title, "error": html.unescape(said)}
        if request.path.endswith(".json"):
            return Response.json(told, status=status)
        page = await datasette.render_template("error.html", told, request=request)
        return Response.html(page, status=status)

    return answer


async def home_page(request: Request, datasette: Datasette) -> Response:
    """What there is to look at, and what is stale."""
    await datasette.ensure_permissions(request.actor, ["view-instance"])
    view = VIEWS[datasette]
    troubles = await asyncio.to_thread(_troubles, view)
    shown = view.shown()
    content = {
        "reports": view.reports()[:14],
        "areas": view.areas(),
        "queries": shown.queries,
        "problems": shown.problems,
        "troubles": troubles,
        "looks": view.board is not None,
        "has_days": view.house is not None and "timeline" in view.described(),
    }
    return await _page(datasette, request, "home.html", content)


def _troubles(view: View) -> list[tuple[str, str, str]]:
    """The state, the source and what to do, as ``personal-pipeline status`` has them."""
    return [] if view.board is None else [_trouble(lines) for lines in to_do(view.board())]


def _trouble(lines: Sequence[StreamState]) -> tuple[str, str, str]:
    streams = ", ".join(line.stream.replace("_", " ") for line in lines)
    return state_words(lines[0]), f"{lines[0].source_title} ({streams})", lines[0].detail


async def reports_page(request: Request, datasette: Datasette) -> Response:
    """All reports: months and years, then days."""
    await datasette.ensure_permissions(request.actor, ["view-instance"])
    view = VIEWS[datasette]
    days = view.reports()
    if not days:
        raise NotFound("There are no reports.")
    months: dict[str, list[str]] = {}
    for day in days:
        months.setdefault(day[:7], []).append(day)
    content = {"months": months, "longer": view.long_reports()}
    return await _page(datasette, request, "reports.html", content)


async def report_page(request: Request, datasette: Datasette) -> Response:
    """A report as it was written, with links from its figures to their tables, which only work
    here. It has a policy of its own, which allows no script."""
    await datasette.ensure_permissions(request.actor, ["view-instance"])
    view = VIEWS[datasette]
    name = request.url_vars["name"]
    if name == "latest":
        name = next(iter(view.reports()), "")
    content = view.report(name)
    if content is None:
        raise NotFound("There is no such report.")
    tables = view.described()
    return _without_scripts(
        _FROM.sub(lambda found: _linked(found.group(), tables), content.decode())
    )


def _without_scripts(content: str) -> Response:
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    return Response(
        content,
        content_type="text/html; charset=utf-8",
        headers={"content-security-policy": policy},
    )


_FROM = re.compile(r'<p class="from">.*?</p>')
"""Where a report names the tables behind its figures (``outputs/templates``)."""


def _linked(paragraph: str, tables: Collection[str]) -> str:
    def link(found: re.Match[str]) -> str:
        code, name = found.group(), found.group(1)
        return f'<a href="/tables/{name}">{code}</a>' if name in tables else code

    return re.sub(r"<code>(?:marts\.)?(\w+)</code>", link, paragraph)


async def day_page(request: Request, datasette: Datasette) -> Response:
    """A day from morning to night."""
    house = await _house_of_owner(request, datasette)
    day = _day(request.url_vars["day"], house)
    return await _of_life(lambda: life.day_page(house, day, in_site=True))


async def on_this_day_page(request: Request, datasette: Datasette) -> Response:
    """The same day of other years."""
    house = await _house_of_owner(request, datasette)
    day = _day(request.args.get("date") or "today", house)
    return await _of_life(lambda: life.same_day_page(house, day))


async def raw_page(request: Request, datasette: Datasette) -> Response:
    """The raw record of an event, or of a reference."""
    house = await _house_of_owner(request, datasette)
    named = unquote(request.url_vars["named"])
    return await _of_life(lambda: life.raw_page(house, named))


async def _house_of_owner(request: Request, datasette: Datasette) -> House:
    """What only the owner sees: for anybody else there is no such page."""
    await datasette.ensure_permissions(request.actor, ["view-instance"])
    house = VIEWS[datasette].house
    if house is None:
        raise NotFound("There is no such page.")
    return house


def _day(text: str, house: House) -> date:
    if text == "today":
        return house.clock().astimezone(ZoneInfo(house.settings.timezone)).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise NotFound("There is no such day.") from None


async def _of_life(made: Callable[[], str]) -> Response:
    try:
        return _without_scripts(await asyncio.to_thread(made))
    except (LookupError, FileNotFoundError, DamagedPartition) as problem:
        # of NotFound Datasette would redirect an address with % to another
        raise DatasetteError(shown_lines(f"{problem}"), status=404) from None


async def dashboard_page(request: Request, datasette: Datasette) -> Response:
    """A dashboard; its script asks for the rows of each chart."""
    await datasette.ensure_permissions(request.actor, ["view-instance"])
    name = request.url_vars["name"]
    dashboard = VIEWS[datasette].shown().dashboards.get(name)
    if dashboard is None:
        raise NotFound("There is no such dashboard.")
    chosen = {each: request.args.get(each) or "" for each in dashboard.filters}
    choices = {}
    for each, declared in dashboard.filters.items():
        if declared.kind == "choice":
            rows = await datasette.execute(DATABASE, declared.query, chosen)
            choices[each] = [str(row[0]) for row in rows.rows if row[0] is not None]
    content = {
        "dashboard": dashboard,
        "name": name,
        "chosen": chosen,
        "choices": choices,
        "page": page_of(dashboard, name, chosen),
    }
    return await _page(datasette, request, "dashboard.html", content)


async def search_page(request: Request, datasette: Datasette) -> Response:
    """Search over the timeline; its script asks for the hits while somebody types, and without
    scripts the form does."""
    answer = await _searched(request, datasette)
    return await _page(datasette, request, "search.html", answer)


async def search_hits(request: Request, datasette: Datasette) -> Response:
    """The same answer as JSON."""
    return Response.json(await _searched(request, datasette))


async def _searched(request: Request, datasette: Datasette) -> dict[str, Any]:
    await datasette.ensure_permissions(request.actor, ["view-instance"])
    view = VIEWS[datasette]
    if view.person:
        raise Forbidden("Only the owner can search.")
    typed = request.args.get("q") or ""
    typing = request.args.get("typing") is not None
    return await asyncio.to_thread(answer_to, view.home.search, typed, typing=typing)


async def nothing() -> Response:
    """What another plugin would show under our addresses."""
    raise NotFound("There is no such page.")


async def _page(
    datasette: Datasette, request: Request, template: str, content: dict[str, Any]
) -> Response:
    return Response.html(await datasette.render_template(template, content, request=request))
