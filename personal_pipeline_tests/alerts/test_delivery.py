"""Rounds to real receivers on loopback: what arrives, what is repeated, what is never lost."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from lxml import html as lxml_html

from personal_pipeline import duck
from personal_pipeline.alerts import events, memory, outbox
from personal_pipeline.alerts.channels import (
    REPEAT_TITLE,
    Outcome,
    channels_of,
    misunderstood,
    send,
)
from personal_pipeline.alerts.notify import Round, notify
from personal_pipeline.alerts.subjects import CHECK_FAILED, Subject, Trouble
from personal_pipeline.board import StreamState
from personal_pipeline.freshness import State
from personal_pipeline.home import Home
from personal_pipeline.outputs.mail import mail_of, written
from personal_pipeline.outputs.report import build_report
from personal_pipeline_tests.alerts.boards import NOON, fresh, house_of, refused
from personal_pipeline_tests.alerts.sinks import (
    MailServer,
    WebHook,
    mail_server,
    web_hook,
)
from personal_pipeline_tests.alerts.test_plan import failed_run
from personal_pipeline_tests.loopback import free_port
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    with_state,
    write_small_life,
)

DAY = timedelta(days=1)
TURNED = "Kit: credential refused"


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with web_hook() as running:
        yield running


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def text_of(mail: MailServer, number: int = -1) -> str:
    part = mail.letters[number].get_body(("plain",)) or mail.letters[number].get_body(("html",))
    assert part is not None
    return str(part.get_content())


def test_a_message_reaches_a_web_hook_and_a_mailbox(
    home: Home, hook: WebHook, mail: MailServer
) -> None:
    house = house_of(home, hook.address, mail.address)
    done = notify(house, [refused()])
    assert hook.titles == [TURNED]
    assert hook.messages[0]["type"] == "failure"
    assert "Make a new key." in hook.messages[0]["message"]
    assert [str(letter["Subject"]) for letter in mail.letters] == [TURNED]
    assert "Make a new key." in text_of(mail)
    assert len(done.delivered.sent) == 2
    assert (outbox.waiting(home), done.delivered.waiting) == ([], 0)
    assert notify(house, [refused()]) == Round()
    assert (len(hook.messages), len(mail.letters)) == (1, 1)


def test_a_dead_channel_holds_back_nobody_and_gets_everything_when_it_is_alive(
    home: Home, mail: MailServer
) -> None:
    port = free_port()
    clock = Clock()
    house = house_of(home, f"json://127.0.0.1:{port}", mail.address, now=clock)
    done = notify(house, [refused()])
    assert [channel.place for channel in done.delivered.failed] == [1]
    assert done.delivered.waiting == 1
    clock.now += DAY
    notify(house, [fresh()])
    with web_hook(port) as hook:
        # its pause is not over yet
        notify(house, [fresh()])
        assert hook.messages == []
        clock.now += timedelta(minutes=3)
        assert notify(house, [fresh()]).delivered.repeated == 0
        assert hook.titles == [TURNED, "Kit: recovered"]
        assert "Delayed: written 2026-11-10 12:00 UTC." in hook.messages[0]["message"]
    assert len(mail.letters) == 2
    assert outbox.waiting(home) == []


def test_pauses_grow_to_an_hour_and_end_with_success(home: Home, hook: WebHook) -> None:
    clock = Clock()
    house = house_of(home, hook.address, now=clock)
    hook.status = 500
    notify(house, [refused()])
    tries = []
    for _ in range(4 * 60):
        clock.now += timedelta(minutes=1)
        before = len(hook.messages)
        notify(house, [refused()])
        if len(hook.messages) > before:
            tries.append(int((clock.now - NOON).total_seconds()) // 60)
    assert tries == [1, 3, 7, 15, 31, 63, 123, 183]
    hook.status = 200
    clock.now += timedelta(hours=1)
    notify(house, [refused()])
    # a plain no is no delivery, so the yes is no repeat
    assert hook.titles[-1] == TURNED
    assert outbox.waiting(home) == []


def test_what_was_cut_off_comes_again_and_says_so(home: Home, hook: WebHook) -> None:
    clock = Clock()
    house = house_of(home, hook.address, now=clock)
    hook.status = 0
    notify(house, [refused()])
    hook.status = 500
    clock.now += timedelta(minutes=2)
    notify(house, [refused()])
    hook.status = 200
    clock.now += timedelta(hours=1)
    assert notify(house, [refused()]).delivered.repeated == 1
    assert hook.titles[0] == TURNED
    assert set(hook.titles[1:]) == {REPEAT_TITLE + TURNED}
    assert "may be a duplicate" in hook.messages[-1]["message"]


SECOND_PROCESS = """
import sys
from pathlib import Path
from personal_pipeline.alerts.notify import notify
from personal_pipeline.home import Home
from personal_pipeline_tests.alerts.boards import house_of, refused
notify(house_of(Home(Path(sys.argv[1])), *sys.argv[2:]), [refused()])
"""


def second_process(home: Home, *addresses: str) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", SECOND_PROCESS, str(home.root), *addresses],
        env={**os.environ, "PYTHONPATH": str(root)},
    )


def test_killed_in_the_act_of_sending_it_repeats_that_and_nothing_else(
    home: Home, hook: WebHook, mail: MailServer
) -> None:
    hook.holding = True
    process = second_process(home, mail.address, hook.address)
    try:
        assert hook.got.wait(60)
        assert len(mail.letters) == 1
        # while the other is sending, a round does nothing and waits for nobody
        house = house_of(home, mail.address, hook.address)
        assert notify(house, [refused()]).busy
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    hook.holding = False
    hook.released.set()
    done = notify(house, [refused()])
    assert hook.titles == [TURNED, REPEAT_TITLE + TURNED]
    assert len(mail.letters) == 1
    assert done.delivered.repeated == 1
    assert notify(house, [refused()]) == Round()


class Killed(BaseException):
    """Stands for the end of the process between two lines."""


@pytest.mark.parametrize(
    "where", ["remember", "post", "second remember", "forget", "deliver", "file as sent"]
)
def test_killed_anywhere_else_nothing_is_lost_and_nothing_repeated(
    home: Home, hook: WebHook, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    calls = 0

    def die(*args: object) -> None:
        nonlocal calls
        calls += 1
        if where == "second remember" and calls == 1:
            original(*args)
            return
        raise Killed

    module, name = {
        "remember": (memory, "remember"),
        "post": (outbox, "post"),
        "second remember": (memory, "remember"),
        "forget": (events, "forget"),
        "deliver": (outbox, "deliver"),
        "file as sent": (outbox, "_file_as_sent"),
    }[where]
    original = getattr(module, name)
    house = house_of(home, hook.address)
    events.record(home, failed_run("a"))
    with monkeypatch.context() as patched:
        patched.setattr(module, name, die)
        with pytest.raises(Killed):
            notify(house, [refused()])
    for _ in range(2):
        notify(house, [refused()])
    assert sorted(hook.titles) == [TURNED, "Run failed: marts/revenue_daily"]
    assert (outbox.waiting(home), events.recorded(home)) == ([], [])


def test_what_waits_for_a_mistyped_address_goes_to_the_corrected_one(
    home: Home, hook: WebHook
) -> None:
    done = notify(house_of(home, "jsn://127.0.0.1/secret"), [refused()])
    assert done.delivered.waiting == 1
    assert done.lines == (
        "PERSONAL_PIPELINE_ALERTS, address 1 (jsn): could not deliver; the message is kept and "
        "retried",
    )
    notify(house_of(home, hook.address), [refused()])
    assert hook.titles == [TURNED]
    assert outbox.waiting(home) == []


def test_without_a_channel_a_message_is_shown_once(home: Home) -> None:
    house = house_of(home)
    (line,) = notify(house, [refused()]).lines
    assert line.startswith(f"{TURNED}\n")
    assert notify(house, [refused()]).lines == ()


def test_a_failed_run_is_told_after_the_quiet_hours(home: Home, hook: WebHook) -> None:
    clock = Clock()
    clock.now = datetime(2026, 11, 10, 23, 0, tzinfo=UTC)
    house = house_of(home, hook.address, now=clock, PERSONAL_PIPELINE_QUIET_HOURS="22-7")
    events.record(home, failed_run("a"))
    events.record(home, failed_run("a"))
    notify(house, [fresh()])
    assert hook.messages == []
    clock.now += timedelta(hours=8)
    notify(house, [fresh()])
    assert hook.titles == ["Run failed: marts/revenue_daily"]
    assert events.recorded(home) == []


def write_report(home: Home, at: datetime, *, name: str = "", pdf: bytes = b"") -> Path:
    """The mail of a report of two months that a person has lived, as the morning writes it."""
    tables = home.root / "life.duckdb"
    if not tables.exists():
        write_small_life(tables)
    day = at.date() if at.month == 11 else date(2026, 11, 21)
    board = with_state(fresh_board(), State.LATE, "medium", detail="Save the <b>answers</b>.")
    report = build_report(duck.File(tables, read_only=True), date(2026, 11, 21), board, built_at=at)
    printed = home.reports / f"{day}.pdf"
    if pdf:
        printed.write_bytes(pdf)
    made = mail_of(report, board, file=f"{day}.html", pdf=printed if pdf else None)
    file = home.reports / (name or f"{day}.eml")
    file.write_bytes(written(made))
    os.utime(file, (at.timestamp(), at.timestamp()))
    return file


def html_of(letter: EmailMessage) -> str:
    part = letter.get_body(("html",))
    assert part is not None
    return str(part.get_content())


def test_the_report_of_the_day_goes_to_the_mailbox_only_and_once(
    home: Home, hook: WebHook, mail: MailServer
) -> None:
    clock = Clock()
    house = house_of(
        home, hook.address, mail.address, now=clock, PERSONAL_PIPELINE_MAIL_REPORT="true"
    )
    clock.now = NOON.replace(hour=6)
    write_report(home, NOON.replace(hour=5))
    notify(house, [fresh()])
    clock.now = NOON.replace(hour=7, minute=2)
    # that of the night is about to be replaced
    notify(house, [fresh()])
    assert mail.letters == []
    write_report(home, NOON.replace(hour=7, minute=3))
    clock.now = NOON.replace(hour=7, minute=4)
    for _ in range(2):
        notify(house, [fresh()])
    assert [str(each["Subject"]) for each in mail.letters] == ["The report of 2026-11-10"]
    assert hook.messages == []
    assert outbox.waiting(home) == []


def test_page_one_stands_in_the_mail_itself(home: Home, mail: MailServer) -> None:
    write_report(home, NOON.replace(hour=7), pdf=b"%PDF-1.4 the report")
    notify(house_of(home, mail.address, PERSONAL_PIPELINE_MAIL_REPORT="true"), [fresh()])
    (letter,) = mail.letters
    page = lxml_html.document_fromstring(html_of(letter))
    said = " ".join(page.text_content().split())
    assert "1,234 views, $1.50 earned on Medium, 1 story published" in said
    assert "Stripe gross: €19.00, above the usual €0.00 of a Friday." in said
    assert "Streams that need you: 5 late." in said
    # what others wrote is only text, and nothing is loaded
    assert "Save the <b>answers</b>." in said
    assert not page.xpath("//script | //link | //b | //style")
    sources = page.xpath("//img/@src")
    assert sources
    parts = {
        str(each["Content-ID"]).strip("<>"): each for each in letter.walk() if each["Content-ID"]
    }
    assert {f"cid:{name}" for name in parts} == set(sources)
    for each in parts.values():
        assert each.get_content_type() == "image/png"
        assert each.get_content_disposition() == "inline"
        assert each.get_content().startswith(b"\x89PNG")
    # the text beside it says the same
    text = " ".join(text_of(mail).split())
    assert "1,234 views, $1.50 earned on Medium" in text
    assert "Streams that need you: 5 late." in text
    attached = [each for each in letter.walk() if each.get_content_disposition() == "attachment"]
    assert [(each.get_filename(), each.get_content()) for each in attached] == [
        ("2026-11-10.pdf", b"%PDF-1.4 the report")
    ]


def test_a_mail_that_may_be_a_duplicate_says_so_above_the_report(
    home: Home, mail: MailServer
) -> None:
    clock = Clock()
    write_report(home, NOON.replace(hour=7))
    house = house_of(home, mail.address, now=clock, PERSONAL_PIPELINE_MAIL_REPORT="true")
    mail.hang_up = True
    notify(house, [fresh()])
    mail.hang_up = False
    clock.now += timedelta(hours=2)
    notify(house, [fresh()])
    again = mail.letters[-1]
    assert str(again["Subject"]) == f"{REPEAT_TITLE}The report of 2026-11-10"
    said = " ".join(lxml_html.document_fromstring(html_of(again)).text_content().split())
    assert said.index("may be a duplicate") < said.index("Delayed: written") < said.index("views")


def test_the_report_of_the_month_goes_once_too(home: Home, mail: MailServer) -> None:
    clock = Clock()
    house = house_of(home, mail.address, now=clock, PERSONAL_PIPELINE_MAIL_REPORT="true")
    write_report(home, NOON.replace(hour=7))
    write_report(home, NOON.replace(hour=7), name="2026-10.eml")
    notify(house, [fresh()])
    assert [str(each["Subject"]) for each in mail.letters] == [
        "The report of 2026-10",
        "The report of 2026-11-10",
    ]
    # the next day brings its own, and the month's again only if nobody has had it
    clock.now += DAY
    write_report(home, clock.now.replace(hour=7))
    notify(house, [fresh()])
    assert [str(each["Subject"]) for each in mail.letters[2:]] == ["The report of 2026-11-11"]


def test_an_earlier_report_goes_when_no_newer_one_comes(home: Home, mail: MailServer) -> None:
    clock = Clock()
    house = house_of(home, mail.address, now=clock, PERSONAL_PIPELINE_MAIL_REPORT="true")
    write_report(home, NOON.replace(hour=5))
    clock.now = NOON.replace(hour=8)
    notify(house, [fresh()])
    assert len(mail.letters) == 1


def test_a_report_that_is_gone_is_announced_all_the_same(home: Home, mail: MailServer) -> None:
    house = house_of(home, mail.address, PERSONAL_PIPELINE_MAIL_REPORT="true")
    file = write_report(home, NOON.replace(hour=7))
    mail.answer = "451 later"
    notify(house, [fresh()])
    file.write_bytes(b"no mail at all")
    mail.answer = "250 OK"
    mail.letters.clear()
    late = house_of(
        home, mail.address, now=lambda: NOON + DAY, PERSONAL_PIPELINE_MAIL_REPORT="true"
    )
    notify(late, [fresh()])
    assert "Your report of 2026-11-10 was written." in text_of(mail)


def test_the_report_stays_at_home_unless_it_is_asked_for(home: Home, mail: MailServer) -> None:
    write_report(home, NOON.replace(hour=7))
    notify(house_of(home, mail.address), [fresh()])
    assert mail.letters == []


def everything_under(folder: Path) -> str:
    return "\n".join(
        f"{path} {path.read_text()}" for path in sorted(folder.rglob("*")) if path.is_file()
    )


def test_no_credential_is_in_a_message_a_file_or_a_log(
    home: Home, hook: WebHook, mail: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="")
    secret = "sk_live_never_shown"
    dead = f"json://me:a-secret-word@127.0.0.1:{free_port()}/a-secret-path"
    odd = "mailto://me:a-secret-word@"
    house = house_of(home, hook.address, mail.address, dead, odd, STRIPE_API_KEY=secret)
    told: StreamState = replace(refused(), detail=f"The key {secret} was refused.")
    done = notify(house, [told])
    assert "The key *** was refused." in hook.messages[0]["message"]
    assert secret not in text_of(mail)
    sent = everything_under(home.state / "alerts" / "sent")
    waits = everything_under(home.state / "alerts" / "outbox")
    shown = "\n".join([caplog.text, *done.lines, sent, waits])
    for word in (secret, "a-secret", "127.0.0.1:"):
        assert word not in shown
    assert repr(channels_of(house.settings.alerts)).count("secret") == 0


def test_what_is_kept_can_be_read_by_its_owner_only(home: Home) -> None:
    notify(house_of(home), [refused()])
    files = [path for path in (home.state / "alerts").rglob("*") if path.is_file()]
    assert files
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)


def test_a_memory_that_cannot_be_read_costs_one_repetition(home: Home, hook: WebHook) -> None:
    clock = Clock()
    house = house_of(home, hook.address, now=clock)
    notify(house, [refused()])
    memory.path(home).write_text("{")
    clock.now += timedelta(minutes=2)
    for _ in range(2):
        notify(house, [refused()])
    assert hook.titles == [TURNED, TURNED]


def test_sent_messages_are_kept_for_a_while(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "KEPT_SENT", 3)
    house = house_of(home)
    for number in range(5):
        notify(house, [refused() if number % 2 == 0 else fresh()])
    kept = sorted(outbox.sent_folder(home).glob("*.json"))
    assert [json.loads(each.read_bytes())["message"]["title"] for each in kept] == [
        TURNED,
        "Kit: recovered",
        TURNED,
    ]


def outcome_of(address: str, timeout: float = 30) -> Outcome:
    (channel,) = channels_of(house_of(Home(Path()), address).settings.alerts)
    return send(channel, title="t", body="b", tone="info", timeout=timeout)


def test_a_plain_no_is_told_from_an_answer_that_was_cut_off(
    hook: WebHook, mail: MailServer
) -> None:
    assert outcome_of(hook.address) is Outcome.DELIVERED
    assert outcome_of(mail.address) is Outcome.DELIVERED
    assert outcome_of(f"json://127.0.0.1:{free_port()}") is Outcome.REFUSED
    assert outcome_of(f"mailto://127.0.0.1:{free_port()}?from=a@example.com") is Outcome.REFUSED
    hook.status = 500
    assert outcome_of(hook.address) is Outcome.REFUSED
    assert outcome_of(f"{hook.address}?optional=yes&retry=3") is Outcome.REFUSED
    mail.answer = "554 no"
    assert outcome_of(mail.address) is Outcome.REFUSED
    assert len(hook.messages) == 3
    hook.status = 0
    assert outcome_of(hook.address) is Outcome.IN_DOUBT
    mail.hang_up = True
    assert outcome_of(mail.address) is Outcome.IN_DOUBT


def test_a_channel_that_does_not_answer_is_left_behind(hook: WebHook) -> None:
    hook.holding = True
    assert outcome_of(hook.address, timeout=1.0) is Outcome.IN_DOUBT


def test_an_address_that_nobody_understands_is_named_without_showing_it() -> None:
    addresses = ("json://127.0.0.1", "jsn://secret", "secret", "json://127.0.0.1")
    channels = channels_of(house_of(Home(Path()), *addresses).settings.alerts)
    assert [each.name for each in misunderstood(channels)] == [
        "address 2 (jsn)",
        "address 3 (no scheme)",
    ]


def test_checks_that_nobody_looked_at_are_left_as_they_were(home: Home, hook: WebHook) -> None:
    house = house_of(home, hook.address)
    bad = Subject(
        key="check a b", title="a: b", troubles=(Trouble(stream="", reason=CHECK_FAILED),)
    )
    notify(house, [fresh()], checks=[bad])
    notify(house, [fresh()])
    notify(house, [fresh()], checks=[bad])
    assert hook.titles == ["a: b: check failed"]
