"""Strava: the account archive, which the user requests on the website: the files of all activities
and one table of them.

Every archive is the whole account, so the most recent one is the full picture.

What surprised the author:
- The table repeats headers: first what the pages show, in the account's units, then the same in
  metres and seconds. A reader that goes by name alone keeps one of the two.
- Some headers are the sentence "translation missing: …", others are in the account's language.
- The date has no zone: it is UTC. Before AM and PM is U+202F, which is not an ordinary space.
- A file is named by its upload id, which is not the activity id.
- Files are as they were uploaded: FIT, GPX or TCX, some gzipped, some TCX with whitespace before
  the XML declaration.
"""

from __future__ import annotations

from personal_pipeline.ingest.contract import Coverage, Drop, DropStream, Source
from personal_pipeline.sources.fit import CODE, RECORDING_SAMPLES, RECORDINGS, no_columns
from personal_pipeline.sources.fit.formats import SAMPLES
from personal_pipeline.sources.strava.answers import read_answer, recognise_answer
from personal_pipeline.sources.strava.export import load_export, recognise_export

EXPORT = Drop(
    name="export",
    description="export_….zip, the archive of an account",
    how_to=(
        "1. On strava.com: Settings, My Account, Download or Delete Your Account, Get Started.\n"
        "2. Request Your Archive (this deletes nothing; possible once a week). The link arrives "
        "by mail.\n"
        "3. Put export_….zip into the inbox as it is."
    ),
    recognise=recognise_export,
    load=load_export,
    streams=(
        DropStream(
            name="activities",
            description=(
                "One row is an activity as the table of the archive tells it, under the English "
                "headers. Filed under the UTC month of its start."
            ),
            coverage=Coverage.FULL,
            columns=lambda record: record["columns"],
        ),
        DropStream(
            name="recordings",
            description=RECORDINGS,
            coverage=Coverage.FULL,
            columns=no_columns,
            code_version=CODE,
        ),
        DropStream(
            name="recording_samples",
            description=RECORDING_SAMPLES,
            coverage=Coverage.FULL,
            table=SAMPLES,
            code_version=CODE,
        ),
    ),
)

ANSWER = Drop(
    name="answer",
    description="an activity, or a list of them, as Strava's API gives it in JSON",
    how_to="Save the response of the API to GET /activities/{id} or /athlete/activities as a file.",
    recognise=recognise_answer,
    read=read_answer,
    streams=(
        DropStream(
            name="activity_details",
            description=(
                "One row is an activity as the API gives it, filed under the UTC month of its "
                "start."
            ),
        ),
    ),
)

STRAVA = Source(
    name="strava",
    title="Strava",
    description="Activities of an account and the files that were uploaded, by hand.",
    drops=(EXPORT, ANSWER),
)

__all__ = ["STRAVA"]
