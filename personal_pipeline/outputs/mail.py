"""A report as a mail: page one in the mail itself, as HTML that mail programs show.

It has tables and inline styles, and the small charts are pictures inside the mail; nothing is
loaded from anywhere. It is kept as one ``.eml`` file next to the report, which any mail program
opens; the alerts send what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP, default
from html import escape
from pathlib import Path

from personal_pipeline.board import StreamState
from personal_pipeline.outputs.drawing import png
from personal_pipeline.outputs.report import Report, attention, environment, troubled

_NOTE = "<!--note-->"
"""Where the template has room for a note about the mail."""

_PDF = "application/pdf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """What a mail consists of: ``pictures`` belong into the HTML, which refers to them by name;
    ``attachments`` are files beside it. Both have names and contents."""

    html: str
    pictures: tuple[tuple[str, bytes], ...] = ()
    attachments: tuple[tuple[str, bytes], ...] = ()

    def noted(self, note: str) -> str:
        """The HTML with a note above everything else; empty adds none."""
        if not note:
            return self.html
        lines = "<br>".join(escape(line) for line in note.splitlines() if line)
        return self.html.replace(_NOTE, f"<p>{lines}</p>", 1)


def mail_of(
    report: Report,
    board: Sequence[StreamState],
    *,
    file: str,
    pdf: Path | None = None,
    without_pdf: str = "",
    clean: Callable[[str], str] = str,
) -> Mail:
    """Page one of a report as a mail. ``file`` is the name of the whole report, ``pdf`` goes along
    with it; ``without_pdf`` says why there is none. ``clean`` takes out what must not leave the
    machine.
    """
    pictures = [
        (f"trend-{place}.png", png(card.trend)) if card.trend else None
        for place, card in enumerate(report.top.cards, 1)
    ]
    html = (
        environment()
        .get_template("mail.html.j2")
        .render(
            kicker=report.kicker,
            heading=report.heading,
            overview=report.top,
            attention=attention(board),
            troubles=troubled(board),
            cards=[
                (card, picture[0] if picture else "")
                for card, picture in zip(report.top.cards, pictures, strict=True)
            ],
            file=file,
            without_pdf=without_pdf,
        )
    )
    return Mail(
        html=clean(html),
        pictures=tuple(filter(None, pictures)),
        attachments=((pdf.name, pdf.read_bytes()),) if pdf else (),
    )


def written(mail: Mail) -> bytes:
    """The mail as the content of an ``.eml`` file."""
    message = EmailMessage(policy=SMTP)
    message.set_content(mail.html, subtype="html")
    for name, content in mail.pictures:
        message.add_related(content, "image", "png", cid=f"<{name}>", filename=name)
    for name, content in mail.attachments:
        message.add_attachment(content, *_PDF.split("/"), filename=name)
    return message.as_bytes()


def read(content: bytes) -> Mail:
    """The mail in the content of an ``.eml`` file that ``written`` made. Raises ``ValueError`` if
    it is none."""
    parts = list(BytesParser(policy=default).parsebytes(content).walk())
    html = next((each for each in parts if each.get_content_type() == "text/html"), None)
    if html is None:
        raise ValueError("the file is no mail that brings a report")

    def named(kind: str) -> tuple[tuple[str, bytes], ...]:
        return tuple(
            (str(each.get_filename()), bytes(each.get_content()))
            for each in parts
            if each.get_content_type() == kind
        )

    return Mail(
        html=html.get_content().replace("\r\n", "\n"),
        pictures=named("image/png"),
        attachments=named(_PDF),
    )
