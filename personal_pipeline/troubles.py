"""How errors are reported: a sentence that a person can act on and that contains nobody's data.

The text of an error that is not ours may quote what was read (``could not convert string to float:
'…'``), and Dagster keeps what it is given for ever. So for such errors only the type and the
location are reported. A disk that is full or read-only is not a bug: it is recognised whether the
system, SQLite, DuckDB or dbt ran into it, and always reported in the same words.
"""

from __future__ import annotations

import errno
import functools
import inspect
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from personal_pipeline.shown import shown

P = ParamSpec("P")
R = TypeVar("R")

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM})

# messages of SQLite, DuckDB and dbt; matched only in the text of their errors
_SAYS_FULL = re.compile(
    r"no space left on device|database or disk is full|disk quota exceeded|file too large"
    r"|out of disk|disk I/O error",
    re.IGNORECASE,
)
_SAYS_CLOSED = re.compile(
    r"read-only file ?system|readonly database|unable to open database file|permission denied"
    r"|operation not permitted",
    re.IGNORECASE,
)
_OF_A_DATABASE = frozenset({"sqlite3", "sqlalchemy", "duckdb", "_duckdb"})
_OWN = frozenset(
    {
        *("Busy", "DamagedPartition", "DamagedWarehouse", "DbtFailed", "Ended", "NewerHome"),
        *("BadDeclaration", "BadSetting", "NoKeyring", "NotReported", "OpenToOthers"),
        *("ExportFailed", "ServiceError", "UnreadableFile"),
    }
)
"""Our own errors, whose text is a sentence for people without any value of a row."""

UNEXPECTED = "unexpected"
"""In the metadata of a failure caused by an error rather than by the answer of a service."""

FULL = "The disk is full{place}. Free some space and retry; no existing data was lost."
CLOSED = (
    "Nothing can be written{place}: it is read-only. Make it writable and retry; no existing data "
    "was lost."
)
DENIED = "Permission denied{place}: correct its owner or mode and retry; no existing data was lost."


def disk_trouble(error: BaseException, home: Path | None = None) -> str | None:
    """The sentence for a full disk or an unwritable folder, if that caused this error or one that
    it was raised from; else None."""
    for each in _chain(error):
        kind = _kind_of_disk_trouble(each)
        if kind:
            named = getattr(each, "filename2", None) or getattr(each, "filename", None) or home
            place = f" ({shown(str(named), 300)})" if isinstance(named, str | Path) else ""
            return kind.format(place=place)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _kind_of_disk_trouble(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        if error.errno in _FULL:
            return FULL
        if error.errno in _DENIED:
            return DENIED
        return CLOSED if error.errno == errno.EROFS else None
    kind = type(error)
    if kind.__module__.partition(".")[0] in _OF_A_DATABASE or kind.__name__ == "DbtFailed":
        text = str(error)
        if _SAYS_FULL.search(text):
            return FULL
        return CLOSED if _SAYS_CLOSED.search(text) else None
    return None


def sentence_of(error: BaseException, home: Path | None = None) -> str:
    """What went wrong, as one sentence."""
    if sentence := disk_trouble(error, home):
        return sentence
    if type(error).__name__ in _OWN:
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        named = f" ({shown(str(error.filename), 300)})" if error.filename else ""
        return f"{error.strerror}{named}."
    return f"{type(error).__name__} in {place_of(error)}. {DEFECT}"


DEFECT = "This is a bug in personal_pipeline; no existing data was lost."


def place_of(error: BaseException) -> str:
    """File and line where it was raised, preceded by the line of ours that led there."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    ours = [
        each
        for each in frames
        if "personal_pipeline" in Path(each.filename).parts and each.filename != __file__
    ]
    places = (f"{Path(f.filename).name}, line {f.lineno}" for f in (*ours[-1:], frames[-1]))
    return ", ".join(dict.fromkeys(places))


def told_without_values(body: Callable[P, R]) -> Callable[P, R]:
    """Wraps the body of an asset, op, check or sensor so that errors leave it as
    ``dagster.Failure`` with their sentence alone: Dagster keeps the text and the whole chain of an
    exception for ever, visible to anyone who can open the UI."""
    import dagster as dg

    if inspect.isgeneratorfunction(body):

        @functools.wraps(body)
        def yielding(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            try:
                yield from body(*args, **kwargs)
                return
            except dg.Failure:
                raise
            except Exception as error:
                failure = _failure(error, kwargs.get("house"))
            # raised here, where the error is no longer its context
            raise failure from None

        return yielding  # type: ignore[return-value]

    @functools.wraps(body)
    def returning(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return body(*args, **kwargs)
        except dg.Failure:
            raise
        except Exception as error:
            failure = _failure(error, kwargs.get("house"))
        raise failure from None

    return returning


def _failure(error: Exception, house: Any) -> Exception:
    import dagster as dg

    sentence = sentence_of(error, house.home.root if house else None)
    return dg.Failure(sentence, metadata={UNEXPECTED: True}, allow_retries=False)
