"""The life as Kit reports it: the objects of its API v4, and the exports made by hand.

Shapes are those of https://developers.kit.com; times are ISO 8601 with ``Z``. Cancellations in the
growth figures are negative, and the state is spelled ``cancelled`` while the field is
``canceled_at``. Rates are percent.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeAlias

from personal_pipeline.demo.audience import Broadcast, Subscriber
from personal_pipeline.demo.chance import at
from personal_pipeline.demo.life import Life

Object: TypeAlias = dict[str, Any]

V3_PAGE = 50
V4_PAGE = 500


def iso(instant: datetime) -> str:
    """An instant as the service writes it: ``2026-11-21T08:30:00Z``."""
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def cursor(subscriber_or_broadcast_id: int) -> str:
    """The opaque cursor for a position in a list, as in paged responses."""
    return base64.b64encode(f"[{subscriber_or_broadcast_id}]".encode()).decode()


def account(life: Life) -> Object:
    """The writer's account, as returned by ``GET /account``."""
    return {
        "user": {"email": life.writer.email},
        "account": {
            "id": 1_204_177,
            "name": f"Letters by {life.writer.name}",
            "plan_type": "creator",
            "primary_email_address": life.writer.email,
            "created_at": iso(at(life.start)),
            "timezone": {"name": "Etc/UTC", "friendly_name": "UTC", "utc_offset": "+00:00"},
        },
    }


def growth_stats(life: Life, starting: date, ending: date) -> Object:
    """Growth over the days from ``starting`` to ``ending``, both included: the total at the end,
    new subscribers, and, as a negative number, those who left."""
    known = life.audience_days[: max(0, (ending - life.start).days + 1)]
    days = known[max(0, (starting - life.start).days) :]
    new, left = sum(each.new for each in days), sum(each.left for each in days)
    return {
        "cancellations": -left,
        "net_new_subscribers": new - left,
        "new_subscribers": new,
        "subscribers": known[-1].active if known else 0,
        "starting": f"{starting}T00:00:00.000+00:00",
        "ending": f"{ending}T23:59:59.999+00:00",
    }


def subscriber(each: Subscriber, when: datetime, *, with_tags: bool = False) -> Object:
    """A person on the list, as of an instant. Only cancelling sets ``canceled_at``; a bounce or a
    complaint only shows in the state and in ``updated_at``."""
    state = each.state(when)
    cancelled = state == "cancelled" and each.left_at is not None
    body: Object = {
        "id": each.subscriber_id,
        "first_name": each.first_name,
        "email_address": each.email,
        "state": state,
        "created_at": iso(each.created_at),
        "updated_at": iso(each.updated_at(when)),
        "canceled_at": iso(each.left_at) if cancelled and each.left_at else None,
        "fields": {"favourite_topic": each.favourite_topic, "last_name": each.last_name},
    }
    if with_tags:
        body["tags"] = list(each.tags(when))
    return body


def broadcast(each: Broadcast) -> Object:
    """One broadcast: sent, scheduled, or a draft."""
    sent = each.status == "completed"
    return {
        "id": each.broadcast_id,
        "publication_id": each.broadcast_id + 2_000_000,
        "created_at": iso(each.created_at),
        "subject": each.subject,
        "preview_text": "A letter about small things." if sent else None,
        "description": None,
        "content": f"<p>Dear reader,</p><p>{each.subject}.</p>",
        "public": sent,
        "published_at": iso(each.sent_at) if sent and each.sent_at else None,
        "send_at": iso(each.sent_at) if each.sent_at else None,
        "thumbnail_alt": None,
        "thumbnail_url": None,
        "public_url": None,
        "email_address": None,
        "email_template": {"id": 3, "name": "Text only"},
        "subscriber_filter": [],
        "status": each.status,
    }


def broadcast_stats(each: Broadcast) -> Object:
    """The statistics of a sent broadcast."""

    def percent(part: int) -> float:
        return round(100 * part / each.recipients, 2) if each.recipients else 0.0

    return {
        "id": each.broadcast_id,
        "subject": each.subject,
        "send_at": iso(each.sent_at) if each.sent_at else None,
        "stats": {
            "recipients": each.recipients,
            "open_rate": percent(each.emails_opened),
            "emails_opened": each.emails_opened,
            "click_rate": percent(each.clickers),
            "unsubscribe_rate": percent(each.unsubscribes),
            "unsubscribes": each.unsubscribes,
            "total_clicks": each.total_clicks,
            "show_total_clicks": True,
            "status": each.status,
            "progress": 100.0,
            "open_tracking_disabled": False,
            "click_tracking_disabled": False,
        },
    }


# --- the export made by hand ----------------------------------------------------------------------


def export_csv(subscribers: Sequence[Subscriber], when: datetime, *, found_via: bool) -> bytes:
    """The confirmed subscribers as mailed by the web app: UTF-8 with BOM, no ids, no state.

    ``found_via`` adds the column that the writer began to keep later.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    header = ["email", "first_name", "created_at", "tags", "last_name", "favourite_topic"]
    table.writerow([*header, "found_via"] if found_via else header)
    for each in _known(subscribers, when):
        if each.state(when) == "active":
            row = [
                each.email,
                each.first_name or "",
                iso(each.created_at),
                ", ".join(each.tags(when)),
                each.last_name,
                each.favourite_topic or "",
            ]
            table.writerow([*row, each.found_via] if found_via else row)
    return text.getvalue().encode("utf-8-sig")


def export_v4(subscribers: Sequence[Subscriber], when: datetime) -> list[Object]:
    """All subscribers in every state as the pages of API v4, saved one after the other."""
    known = _known(subscribers, when)
    pages = []
    for first in range(0, len(known), V4_PAGE):
        page = known[first : first + V4_PAGE]
        pages.append(
            {
                "subscribers": [subscriber(each, when, with_tags=True) for each in page],
                "pagination": {
                    "has_previous_page": first > 0,
                    "has_next_page": first + V4_PAGE < len(known),
                    "start_cursor": cursor(page[0].subscriber_id),
                    "end_cursor": cursor(page[-1].subscriber_id),
                    "per_page": V4_PAGE,
                },
            }
        )
    return pages


def export_v3(subscribers: Sequence[Subscriber], when: datetime) -> list[Object]:
    """The active subscribers as the pages of API v3, saved one after the other."""
    active = [each for each in _known(subscribers, when) if each.state(when) == "active"]
    total_pages = -(-len(active) // V3_PAGE)
    return [
        {
            "total_subscribers": len(active),
            "page": page + 1,
            "total_pages": total_pages,
            "subscribers": [
                {
                    "id": each.subscriber_id,
                    "first_name": each.first_name,
                    "email_address": each.email,
                    "state": "active",
                    "created_at": each.created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                    "fields": {"last_name": each.last_name},
                }
                for each in active[page * V3_PAGE : (page + 1) * V3_PAGE]
            ],
        }
        for page in range(total_pages)
    ]


def _known(subscribers: Sequence[Subscriber], when: datetime) -> list[Subscriber]:
    return [each for each in subscribers if each.created_at < when]
