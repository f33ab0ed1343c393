"""Google Sheets: the sheet in which the writer flags stories."""

from __future__ import annotations

import csv
import io
from http import HTTPStatus

from personal_pipeline.demo.invented import NOT_FOUND, Answer, Invented, Request, Service, one
from personal_pipeline.demo.life import SHEET_HEADER, Life

_SHEET = "/spreadsheets/d/1InventedSheetOfStories/export"
_SHEET_CONTENT = "/sheet-content/export"


def _service(life: Life) -> Service:
    """The sheet at its export address, which redirects to where the content is."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(SHEET_HEADER)
    for row in life.sheet:
        table.writerow(
            (row.story_url, row.boosted, row.boosted_date, row.notes, row.unnamed, row.mood)
        )
    # the service omits the line break after the last row
    body = text.getvalue().removesuffix("\r\n").encode()

    def answer(request: Request) -> Answer:
        if request.path == _SHEET_CONTENT:
            disposition = {"Content-Disposition": 'attachment; filename="Stories-Sheet1.csv"'}
            return Answer(HTTPStatus.OK, body, "text/csv", disposition)
        if request.path == _SHEET and one(request.query, "format") == "csv":
            location = {"Location": _SHEET_CONTENT}
            return Answer(HTTPStatus.TEMPORARY_REDIRECT, b"", "text/html; charset=UTF-8", location)
        return NOT_FOUND

    return answer


GOOGLE_SHEETS = Invented(
    source="google_sheets",
    services=lambda life: dict.fromkeys((_SHEET, _SHEET_CONTENT), _service(life)),
    settings=lambda life, base: {"STORY_SHEET_URL": f"{base}{_SHEET}?format=csv&gid=0"},
)
