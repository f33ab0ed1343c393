"""Files with private words in the place of their values: what is said of them holds none."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import IngestedFile, ingest_all, waiting
from personal_pipeline.sources import SOURCES

WORD = "Zqxprivate"
SAMPLES = Path(__file__).parents[1] / "sources" / "bank_samples"
MAX_BYTES = 300_000
ROUNDS = 3


def spoilt(content: bytes, name: str, dice: random.Random) -> bytes:
    """A file of which some values are words now, each in a way that breaks other readers. Names of
    columns, keys and tags stay: they say what the file is, and not what somebody did."""
    if content.startswith(b"PK"):
        target = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
            for member in old.infolist():
                new.writestr(member.filename, spoilt(old.read(member), member.filename, dice))
        return target.getvalue()
    text = content.decode("latin-1")
    if name.endswith(".json"):
        values = r'(?<=: )"[^"\n]+"(?!\s*:)|(?<=: )-?[0-9][0-9.]*'
    elif text.lstrip().startswith("<") or "<OFX>" in text:
        values = r'(?<=>)[^<>\n]+|(?<==")[^"<>\n]+(?=")'
    else:
        values = r"(?<=[,;\t\n])[^,;\t\n]+"
    head = 0
    if name.endswith(".csv"):
        lines = text.splitlines(keepends=True)
        header = next(
            (
                n
                for n, line in enumerate(lines)
                if not re.search(r"\d\d", line) and len(re.findall(r'[,;\t]"?\w', line)) > 2
            ),
            0,
        )
        head = len("".join(lines[: header + 1]))
    share = dice.choice([0.02, 0.2, 0.9])

    def word(found: re.Match[str]) -> str:
        if dice.random() > share:
            return found[0]
        made = dice.choice(
            [WORD, f"{WORD} 12.50", f"12 {WORD}", f"{WORD}\x00\x1b[31m", f"-{WORD}-1"]
        )
        return f'"{made}"' if found[0].startswith('"') else made

    return (text[:head] + re.sub(values, word, text[head:])).encode("latin-1")


def files(exports: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    """Every kind of file that the invented life drops, and one of each bank, without the large."""
    kinds: dict[str, Path] = {}
    for path in exports:
        kinds[re.sub(r"\d+", "", path.name)] = path
    for path in [*kinds.values(), *sorted(SAMPLES.glob("*.csv"))]:
        if path.stat().st_size <= MAX_BYTES:
            yield path.name, path.read_bytes()


@pytest.mark.slow
def test_nothing_that_is_said_of_a_file_holds_a_value(exports: list[Path], tmp_path: Path) -> None:
    dice = random.Random(11)
    home = Home(tmp_path / "home").ensure()
    wished = 0
    for name, content in files(exports):
        for number in range(ROUNDS):
            folder = home.inbox / f"{number}-{Path(name).stem}"
            folder.mkdir()
            (folder / name).write_bytes(spoilt(content, name, dice))
            wished += 1
    at = datetime(2026, 11, 26, tzinfo=UTC)
    found = list(ingest_all(home, SOURCES, waiting(home), lambda: at))
    taken = [each for each in found if isinstance(each, IngestedFile)]
    assert len(taken) == wished

    said: dict[str, str] = {}
    for each in taken:
        for number, one in enumerate(each.everything()):
            said[f"receipt of {each.receipt.file}, {number}"] = json.dumps(asdict(one.receipt))
    for path in home.quarantine.rglob("*.reason.txt"):
        said[str(path)] = path.read_text(encoding="utf-8")
    unreadable = 0
    for path in home.quarantine.rglob("unreadable-*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            kept = json.loads(line)
            unreadable += WORD in line
            said[f"{path.name}: {kept['reason']}"] = kept["reason"]
    wrong = [
        f"{place}: …{text[: text.find(WORD)][-300:]}"
        for place, text in said.items()
        if WORD in text
    ]
    assert not wrong, "\n".join(wrong)
    # the words reached the readers
    assert unreadable > 20
    assert len({each.receipt.source for each in taken if each.receipt.ingested}) >= 3
