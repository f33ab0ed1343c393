"""``personal-pipeline site``: serve the tables, and share a part of them."""

from __future__ import annotations

import socket
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import click

from personal_pipeline.site import MISSING, is_installed

if TYPE_CHECKING:
    from personal_pipeline.house import House
    from personal_pipeline.site.people import Person

SHORTEST_PASSWORD = 12


@click.group("site", invoke_without_command=True, short_help="Serve the tables in the browser.")
@click.option("--port", type=int, help="Port of your site (default: the one after the UI's).")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.option("--for", "person", metavar="NAME", help="Serve what is shared with NAME instead.")
@click.option("--listen", metavar="ADDRESS[:PORT]", help="With --for: where (default port: 8001).")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST",
    help="With --for: a name under which the site may be opened. May be repeated.",
)
@click.pass_context
def site(
    context: click.Context,
    port: int | None,
    show: bool,
    person: str | None,
    listen: str | None,
    hosts: tuple[str, ...],
) -> None:
    """Serve reports, dashboards and tables on this machine until Ctrl-C. `up` does so too.

    With --for: serve what is shared with somebody, behind a login, for a tunnel or a proxy to lead
    to (docs/site.md).
    """
    if context.invoked_subcommand:
        return
    if not is_installed():
        raise click.ClickException(MISSING)
    if not person and (listen or hosts):
        raise click.UsageError("--listen and --host belong to --for: your own site stays here")
    if person:
        if not listen:
            raise click.UsageError("--for needs --listen, such as --listen 127.0.0.1:8001")
        _serve_person(person, listen, hosts)
    else:
        _serve_owner(port, show=show)


def _house() -> House:
    from personal_pipeline.house import House
    from personal_pipeline.settings import load_settings
    from personal_pipeline.sources import SOURCES

    return House.of(load_settings(), SOURCES)


def _serve_owner(port: int | None, *, show: bool) -> None:
    from personal_pipeline import serve
    from personal_pipeline.doors.door import beside, door_of, open_in_browser
    from personal_pipeline.site.server import serve_owner
    from personal_pipeline.site.tables import write_site

    house = _house()
    running = serve.door_of_running(house.home)
    if running and port is None:
        click.echo(f"`up` serves it: {beside(running).opening()}")
        if show:
            open_in_browser(house.home, beside(running))
        return
    door = door_of(house.home, house.settings.port, plain=house.settings.plain_address)
    door = door.at(port) if port else beside(door)
    if serve.listens(door.port):
        raise click.ClickException(
            f"Port {door.port} is in use by another program. Choose another with `site --port`."
        )
    write_site(house)
    click.echo(f"The site (Ctrl-C ends it): {door.opening()}")
    if show:
        open_in_browser(house.home, door)
    serve_owner(house, door)


def _serve_person(name: str, listen: str, hosts: tuple[str, ...]) -> None:
    from personal_pipeline.doors.server import server_of
    from personal_pipeline.site.gate import shared_site
    from personal_pipeline.site.tables import write_site

    house = _house()
    person = _person(house, name)
    address, _, port = listen.rpartition(":") if ":" in listen else (listen, "", "8001")
    address = address.strip("[]")
    if not port.isdecimal() or not _is_address(address):
        raise click.UsageError(f"--listen {listen}: expected an address such as 127.0.0.1:8001")
    if address in ("0.0.0.0", "::") and not hosts:  # noqa: S104
        raise click.UsageError(
            f"--listen {address} is every network of this machine: name with --host under which "
            "names the site may be opened"
        )
    write_site(house)
    named = hosts or (address, "localhost")
    click.echo(f"The site of {name} (Ctrl-C ends it): http://{named[0]}:{port}/")
    gate = shared_site(house.home, person, named)
    # the server shuts down cleanly, then raises the interrupt once more
    with suppress(KeyboardInterrupt):
        server_of(gate, int(port), host=address).run()


def _person(house: House, name: str) -> Person:
    from personal_pipeline.site.people import NotShared, person_named

    try:
        return person_named(house.home, name)
    except NotShared as error:
        raise click.ClickException(str(error)) from None


def _is_address(text: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False


# ------------------------------------------------------------------------------------- people


@site.command("add-person", short_help="Share tables and dashboards with somebody.")
@click.argument("name")
@click.option("--area", "areas", multiple=True, help="An area of tables to share. Repeat for more.")
@click.option("--dashboard", "dashboards", multiple=True, help="A dashboard to share.")
def add_person(name: str, areas: tuple[str, ...], dashboards: tuple[str, ...]) -> None:
    """Share the tables of some areas with NAME, and dashboards over them; asks for a password.

    Nothing is served until `site --for NAME --listen ADDRESS` runs. If something is shared with
    NAME already, this replaces it.
    """
    from personal_pipeline.site.catalogue import marts_of
    from personal_pipeline.site.dashboards import files_of, shown_of
    from personal_pipeline.site.people import NAME, Person, keep
    from personal_pipeline.site.tables import write_site
    from personal_pipeline.warehouse.dbt_project import load_manifest

    if not is_installed():
        raise click.ClickException(MISSING)
    from datasette_auth_passwords.utils import hash_password

    house = _house()
    home = house.home.ensure()
    if not NAME.fullmatch(name):
        raise click.UsageError(f"{name}: choose lower-case letters, digits and -, from a letter on")
    if not home.published.exists():
        raise click.ClickException("There are no tables yet: run `personal-pipeline refresh` first")
    write_site(house)
    marts = marts_of(load_manifest(home))
    known = {mart.area for mart in marts.values()}
    _refuse_unknown("area", areas, known)
    if not areas:
        raise click.UsageError(f"share at least one --area of {', '.join(sorted(known))}")
    shared = {mart for mart in marts if marts[mart].area in areas}
    with closing(sqlite3.connect(f"{home.site.as_uri()}?mode=ro", uri=True)) as tables:
        there = shown_of(files_of(home), tables).dashboards
        _refuse_unknown("dashboard", dashboards, there)
        for each in dashboards:
            if closed := there[each].tables(tables) & marts.keys() - shared:
                needed = sorted({marts[table].area for table in closed})
                raise click.UsageError(
                    f"dashboard {each} reads {', '.join(sorted(closed))}, which would not be "
                    f"shared. Share the area too ({', '.join(needed)}), or leave the dashboard out"
                )
    password = click.prompt(f"A password for {name}", hide_input=True, confirmation_prompt=True)
    if len(password) < SHORTEST_PASSWORD:
        raise click.UsageError(f"choose at least {SHORTEST_PASSWORD} characters")
    keep(home, Person(name, areas, dashboards, hash_password(password)))
    write_site(house)
    click.echo(f"Shared with {name}: {len(shared)} tables ({', '.join(areas)}).")
    click.echo(f"Serve them: personal-pipeline site --for {name} --listen 127.0.0.1:8001")


def _refuse_unknown(what: str, chosen: Iterable[str], known: Iterable[str]) -> None:
    for each in chosen:
        if each not in known:
            raise click.UsageError(
                f"no {what} is called {each}; choose of {', '.join(sorted(known))}"
            )


@site.command("remove-person", short_help="Share nothing with somebody any more.")
@click.argument("name")
def remove_person(name: str) -> None:
    """Delete the login of NAME and the copy of the tables that was shared. A server that still runs
    for NAME serves nothing from now on."""
    from personal_pipeline.site.people import remove

    house = _house()
    _person(house, name)
    remove(house.home, name)
    click.echo(f"Nothing is shared with {name} any more.")


@site.command("people", short_help="List what is shared with whom.")
def people() -> None:
    """List with whom something is shared, and what."""
    from personal_pipeline.site.people import people_of

    found = people_of(_house().home)
    for person in found:
        shown = f"; dashboards {', '.join(person.dashboards)}" if person.dashboards else ""
        click.echo(f"{person.name}: {', '.join(person.areas)}{shown}")
    if not found:
        click.echo("Nothing is shared.")
        sys.exit(0)
