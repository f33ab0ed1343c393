"""Google Sheets: the sheet in which the user keeps what no service provides, such as ``boosted``.

What surprises:

- Cells are the displayed text: ``TRUE`` for a ticked box, ``1,234``, dates in the sheet's locale. A
  story id of digits, or of digits around an ``e``, shows as ``1.23E+11`` unless its column is
  formatted as plain text: such a cell is not an id, and the URL or the title is used instead.
- A sheet that is not shared answers with the HTML of a login page and HTTP 200, or with 401, 403 or
  404.
- The chart endpoint (gviz) guesses one type per column and blanks the cells that do not fit:
  ``/export`` is better, so the URL of the open sheet is converted to that.
- Headers repeat, columns and rows are blank, rows of a file saved elsewhere are ragged. All cells
  are kept: a blank header is named by its position, ``column_3``, and a repeated one ``notes_2``.
- Whoever has the URL can read the sheet, so no error shows it.

Format: RFC 4180 with CRLF, UTF-8, https://support.google.com/docs/answer/37579.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from urllib.request import url2pathname

from personal_pipeline.ingest.contract import ApiStream, Coverage, Grain, Record, Source
from personal_pipeline.ingest.delimited import (
    Row,
    delimiter_of,
    plain_name,
    rows,
    unique_names,
)
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.settings import Setting, Settings

ID_COLUMNS = ("story_id", "post_id")
ADDRESS_COLUMNS = ("url", "link")
TITLE_COLUMN = "title"
KEY_COLUMNS = (*ID_COLUMNS, *ADDRESS_COLUMNS, TITLE_COLUMN)

SHEET_URL = Setting(
    name="STORY_SHEET_URL",
    description=(
        "Share the sheet: Share → General access → Anyone with the link: Viewer, then put the "
        "address of the open sheet into STORY_SHEET_URL. A CSV file on this machine works too."
    ),
    # whoever has the URL can read the sheet
    secret=True,
)
_STORY_ID = re.compile(r"(?:^|[-/])([0-9a-f]{10,12})(?=/|$)")


def client(settings: Settings) -> Client:
    """A client for the sheet; its ``base`` is the URL that returns CSV, or the file."""
    return Client(
        "google_sheets",
        csv_address(settings.text(SHEET_URL)),
        per_second=5,
        refused=f"Google refuses access to the sheet. {SHEET_URL.description}",
        refused_on=(401, 403, 404, 410),
    )


def csv_address(wanted: str) -> str:
    """The URL that returns CSV, derived from what the user has: the URL of the open sheet, an
    export, the chart endpoint or a published sheet, or a file path."""
    wanted = wanted.strip()
    if wanted.startswith("docs.google.com/"):
        wanted = f"https://{wanted}"
    if "://" not in wanted:
        return Path(wanted).expanduser().absolute().as_uri()
    parts = urlsplit(wanted)
    sheet = re.search(r"^(.*/spreadsheets(?:/u/\d+)?/d/(?:e/)?[A-Za-z0-9_-]+)(/.*)?$", parts.path)
    if sheet is None:
        return wanted
    query = dict(parse_qsl(parts.query))
    document, action = sheet[1], sheet[2] or ""
    if "/d/e/" in document:
        path, query = f"{document}/pub", {**query, "output": "csv"}
    elif action.startswith("/gviz/"):
        path, query = f"{document}{action}", {**query, "tqx": "out:csv"}
    else:
        tab = re.search(r"[?#&]gid=(\d+)", wanted)
        kept = {name: query[name] for name in ("range", "resourcekey") if name in query}
        path = f"{document}/export"
        # Without a gid, Google exports the first tab.
        query = {"format": "csv", **({"gid": tab[1]} if tab else {}), **kept}
    return urlunsplit((parts.scheme, parts.netloc, path, urlencode(query, safe=":"), ""))


def flags(client: Client) -> Iterator[Record]:
    """One record per row of the sheet: the displayed text of every cell under its plain header.

    Raises ``ServiceError``: CREDENTIAL_REFUSED when the sheet is not shared, FORMAT_CHANGED when
    the response is not CSV with a column that identifies the story.
    """
    text = _text_of(_file(client) if client.base.startswith("file:") else _download(client))
    first_line = next((line for line in text.splitlines() if line.strip(" \t,;|")), "")
    delimiter = delimiter_of(first_line, KEY_COLUMNS)
    header = next(_filled_rows(text, delimiter), Row(0, [], ""))
    names = [plain_name(cell) for cell in header.cells or ()]
    if not set(names) & set(KEY_COLUMNS):
        raise _not_a_sheet(f"a first row with one of the columns {', '.join(KEY_COLUMNS)}")
    for row in _filled_rows(text, delimiter, width=len(names)):
        if row.line <= header.line:
            continue
        if row.cells is None:
            # It has no key, so it is counted as unreadable, and kept.
            yield {"unreadable_line": row.text}
            continue
        # A cell to the right of the last header still needs a name.
        places = max(len(names), len(row.cells))
        headers = unique_names([*names, *[""] * (places - len(names))])
        yield dict(zip(headers, [*row.cells, *[""] * (places - len(row.cells))], strict=True))


def _filled_rows(text: str, delimiter: str, width: int | None = None) -> Iterator[Row]:
    for row in rows(io.StringIO(text, newline=""), delimiter, width):
        if row.cells is None or any(cell.strip() for cell in row.cells):
            yield row


def story_key(record: Record) -> str:
    """The story's hex id, from its own column or extracted from the URL; else the title, else the
    content of the id column. Raises ``ValueError`` when there is none of these."""
    ids = [_cell(record, column) for column in ID_COLUMNS]
    for text in (*ids, *(_cell(record, column) for column in ADDRESS_COLUMNS)):
        if found := _STORY_ID.findall(re.split(r"[?#]", text.lower())[0]):
            return str(found[-1])
    named = _cell(record, TITLE_COLUMN) or next((text for text in ids if text), "")
    if not named:
        raise ValueError(f"a row must name its story in one of {', '.join(KEY_COLUMNS)}")
    return named


def _cell(record: Record, column: str) -> str:
    return str(record.get(column) or "").strip()


def _download(client: Client) -> bytes:
    response = client.get(client.base)
    kind = response.headers.get("Content-Type", "").lower()
    body = response.content
    if kind.startswith("text/html") or body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise _refused("the answer is a web page instead of CSV")
    if b"google.visualization.Query.setResponse" in body[:200]:
        raise _refused("the chart endpoint answers with an error instead of CSV")
    return body


def _file(client: Client) -> bytes:
    path = Path(url2pathname(urlsplit(client.base).path))
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServiceError(
            Failure.SERVICE_DOWN,
            f"google_sheets: the file {path.name} cannot be read ({type(error).__name__}). "
            "Check the path in STORY_SHEET_URL.",
        ) from None


def _text_of(body: bytes) -> str:
    if b"\0" in body:
        raise _not_a_sheet("text; save or share the sheet as CSV")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Spreadsheets on Windows still write cp1252.
        return body.decode("cp1252", errors="replace")


def _refused(what: str) -> ServiceError:
    sentence = f"google_sheets: {what}. {SHEET_URL.description}"
    return ServiceError(Failure.CREDENTIAL_REFUSED, sentence)


def _not_a_sheet(expected: str) -> ServiceError:
    return ServiceError(
        Failure.FORMAT_CHANGED,
        f"google_sheets: expected {expected}. The last good flags are kept; see docs/sources/ for "
        "the expected layout.",
    )


GOOGLE_SHEETS = Source(
    name="google_sheets",
    title="Google Sheets",
    description="The person's own sheet about stories: which were boosted, and other notes.",
    settings=(SHEET_URL,),
    client=client,
    api=(
        ApiStream(
            name="story_flags",
            description=(
                "One row a row of the sheet, keyed by story id (else title): every cell as the "
                "text that the sheet displays."
            ),
            grain=Grain.DAY,
            key=story_key,
            fetch_all=flags,
            coverage=Coverage.STATE,
        ),
    ),
)
