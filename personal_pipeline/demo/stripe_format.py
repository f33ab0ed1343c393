"""The life as Stripe reports it: the objects of its API, as of the end of the life.

Shapes are those of https://docs.stripe.com/api since version ``2025-03-31.basil``: a subscription
has its current period on its item, a charge names no invoice. Amounts are in minor units, times are
seconds since 1970-01-01 UTC. Fields that a small account never uses are null, not absent.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, TypeAlias

from personal_pipeline.demo.chance import at
from personal_pipeline.demo.life import Life
from personal_pipeline.demo.money import (
    BalanceTransaction,
    Charge,
    Customer,
    Dispute,
    Payout,
    Price,
    Refund,
    Subscription,
)

Object: TypeAlias = dict[str, Any]


def objects(life: Life) -> dict[str, list[Object]]:
    """Every list of the API by its name in the path, most recent object first."""
    money = life.money
    customers = {each.customer_id: each for each in money.customers}
    behind = {each.customer_id for each in money.subscriptions if each.status == "past_due"}
    lists: dict[str, list[Object]] = {
        "balance_transactions": [
            balance_transaction(each, life.end) for each in money.balance_transactions
        ],
        "charges": [charge(each) for each in money.charges],
        "customers": [
            customer(each, delinquent=each.customer_id in behind) for each in money.customers
        ],
        "disputes": [dispute(each) for each in money.disputes],
        "payouts": [payout(each) for each in money.payouts],
        "refunds": [refund(each) for each in money.refunds],
        "subscriptions": [
            subscription_object(each, customers[each.customer_id]) for each in money.subscriptions
        ],
    }
    for each in lists.values():
        each.reverse()
    return lists


def account(life: Life) -> Object:
    """The writer's account, as returned by ``GET /v1/account``."""
    return {
        "id": "acct_1WrenFairholmInvtd",
        "object": "account",
        "business_profile": {"name": "Letters by Wren Fairholm", "mcc": None, "url": None},
        "business_type": "individual",
        "charges_enabled": True,
        "country": "US",
        "created": _epoch(at(life.start)),
        "default_currency": "usd",
        "details_submitted": True,
        "email": life.writer.email,
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"payouts": {"schedule": {"interval": "weekly", "weekly_anchor": "monday"}}},
        "type": "standard",
    }


def balance(life: Life) -> Object:
    """The remaining balance, as returned by ``GET /v1/balance``: available and pending, by
    currency."""
    available: dict[str, int] = defaultdict(int)
    pending: dict[str, int] = defaultdict(int)
    for each in life.money.balance_transactions:
        side = available if each.available_at < life.end or each.type == "payout" else pending
        side[each.currency] += each.net

    def amounts(side: dict[str, int]) -> list[Object]:
        return [
            {"amount": side[each], "currency": each, "source_types": {"card": side[each]}}
            for each in sorted({*available, *pending})
        ]

    return {
        "object": "balance",
        "available": amounts(available),
        "connect_reserved": [],
        "livemode": True,
        "pending": amounts(pending),
    }


def balance_transaction(each: BalanceTransaction, end: datetime) -> Object:
    """One movement of the balance; payouts are negative here."""
    fees = {
        "amount": each.fee,
        "application": None,
        "currency": each.currency,
        "description": "Dispute fee" if each.type == "adjustment" else "Stripe processing fees",
        "type": "stripe_fee",
    }
    return {
        "id": each.transaction_id,
        "object": "balance_transaction",
        "amount": each.amount,
        "available_on": _epoch(each.available_at),
        "balance_type": "payments",
        "created": _epoch(each.created_at),
        "currency": each.currency,
        "description": each.description,
        "exchange_rate": None,
        "fee": each.fee,
        "fee_details": [fees] if each.fee else [],
        "net": each.net,
        "reporting_category": each.reporting_category,
        "source": each.source_id,
        "status": "available" if each.available_at < end else "pending",
        "type": each.type,
    }


def charge(each: Charge) -> Object:
    """One attempt to charge a card; its refunds only appear as a sum."""
    failed = each.failure is not None
    outcome = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "declined_by_network" if failed else "approved_by_network",
        "reason": each.failure[0] if each.failure else None,
        "risk_level": "normal",
        "risk_score": 11 + int(each.card.last4) % 40,
        "seller_message": (
            "The bank did not return any further details with this decline."
            if failed
            else "Payment complete."
        ),
        "type": "issuer_declined" if failed else "authorized",
    }
    return {
        "id": each.charge_id,
        "object": "charge",
        "amount": each.amount,
        "amount_captured": 0 if failed else each.amount,
        "amount_refunded": each.amount_refunded,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": each.balance_transaction_id,
        "billing_details": {
            "address": _address(each.card.country),
            "email": each.email,
            "name": each.name,
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "WREN FAIRHOLM LETTERS",
        "captured": not failed,
        "created": _epoch(each.created_at),
        "currency": each.currency,
        "customer": each.customer_id,
        "description": each.description,
        "disputed": each.disputed,
        "failure_balance_transaction": None,
        "failure_code": each.failure[0] if each.failure else None,
        "failure_message": each.failure[1] if each.failure else None,
        "fraud_details": {},
        "livemode": True,
        "metadata": {} if each.customer_id else {"product": "e-book"},
        "on_behalf_of": None,
        "outcome": outcome,
        "paid": not failed,
        "payment_intent": each.payment_intent_id,
        "payment_method": f"pm_1{each.card.fingerprint}",
        "payment_method_details": {
            "card": {
                "brand": each.card.brand,
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": "pass",
                    "cvc_check": None if each.customer_id else "pass",
                },
                "country": each.card.country,
                "exp_month": each.card.exp_month,
                "exp_year": each.card.exp_year,
                "fingerprint": each.card.fingerprint,
                "funding": each.card.funding,
                "installments": None,
                "last4": each.card.last4,
                "mandate": None,
                "network": each.card.brand,
                "three_d_secure": None,
                "wallet": None,
            },
            "type": "card",
        },
        "receipt_email": each.email,
        "receipt_number": None,
        "receipt_url": f"https://pay.stripe.com/receipts/payment/{each.charge_id}",
        "refunded": each.amount_refunded == each.amount,
        "review": None,
        "shipping": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": each.status,
        "transfer_data": None,
        "transfer_group": None,
    }


def customer(each: Customer, *, delinquent: bool) -> Object:
    """Somebody who has or had a subscription."""
    return {
        "id": each.customer_id,
        "object": "customer",
        "address": _address(each.country),
        "balance": 0,
        "created": _epoch(each.created_at),
        "currency": each.currency,
        "default_source": None,
        "delinquent": delinquent,
        "description": None,
        "discount": None,
        "email": each.email,
        "invoice_prefix": each.customer_id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": f"pm_1{each.card.fingerprint}",
            "footer": None,
            "rendering_options": None,
        },
        "livemode": True,
        "metadata": {"newsletter": "kit"},
        "name": each.name or None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": ["en"],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def subscription_object(each: Subscription, owner: Customer) -> Object:
    """One subscription with its one item."""
    price = price_object(each.price)
    item: Object = {
        "id": each.item_id,
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": _epoch(each.created_at),
        "current_period_end": _epoch(each.current_period_end),
        "current_period_start": _epoch(each.current_period_start),
        "discounts": [],
        "metadata": {},
        "price": price,
        "quantity": 1,
        "subscription": each.subscription_id,
        "tax_rates": [],
    }
    return {
        "id": each.subscription_id,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": _epoch(each.anchor),
        "billing_cycle_anchor_config": None,
        "billing_thresholds": None,
        "cancel_at": _epoch_or_none(each.cancel_at),
        "cancel_at_period_end": each.cancel_at_period_end,
        "canceled_at": _epoch_or_none(each.canceled_at),
        "cancellation_details": {
            "comment": None,
            "feedback": each.cancellation_feedback,
            "reason": each.cancellation_reason,
        },
        "collection_method": "charge_automatically",
        "created": _epoch(each.created_at),
        "currency": each.price.currency,
        "customer": each.customer_id,
        "days_until_due": None,
        "default_payment_method": f"pm_1{owner.card.fingerprint}",
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "ended_at": _epoch_or_none(each.ended_at),
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": {
            "object": "list",
            "data": [item],
            "has_more": False,
            "total_count": 1,
            "url": f"/v1/subscription_items?subscription={each.subscription_id}",
        },
        "latest_invoice": each.invoice_id,
        "livemode": True,
        "metadata": {},
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": _epoch(each.created_at),
        "status": each.status,
        "test_clock": None,
        "transfer_data": None,
        "trial_end": _epoch_or_none(each.trial_end),
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": _epoch(each.created_at) if each.trial_end else None,
    }


def price_object(each: Price) -> Object:
    """A tier of the paid newsletter."""
    return {
        "id": each.price_id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "currency": each.currency,
        "custom_unit_amount": None,
        "livemode": True,
        "lookup_key": None,
        "metadata": {},
        "nickname": each.nickname,
        "product": each.product_id,
        "recurring": {
            "interval": "year" if each.months == 12 else "month",
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": each.amount,
        "unit_amount_decimal": str(each.amount),
    }


def payout(each: Payout) -> Object:
    """Money sent to the bank; positive here."""
    failed = each.failure_balance_transaction_id is not None
    return {
        "id": each.payout_id,
        "object": "payout",
        "amount": each.amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": _epoch(each.arrives_at),
        "automatic": True,
        "balance_transaction": each.balance_transaction_id,
        "created": _epoch(each.created_at),
        "currency": each.currency,
        "description": "STRIPE PAYOUT",
        "destination": f"ba_1WrenFairholm{each.currency.title()}",
        "failure_balance_transaction": each.failure_balance_transaction_id,
        "failure_code": "account_closed" if failed else None,
        "failure_message": "The bank account has been closed." if failed else None,
        "livemode": True,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "in_progress" if each.status == "pending" else "completed",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": each.status,
        "trace_id": None,
        "type": "bank_account",
    }


def refund(each: Refund) -> Object:
    """Money given back for a charge."""
    return {
        "id": each.refund_id,
        "object": "refund",
        "amount": each.amount,
        "balance_transaction": each.balance_transaction_id,
        "charge": each.charge_id,
        "created": _epoch(each.created_at),
        "currency": each.currency,
        "destination_details": {"card": {"type": "refund"}, "type": "card"},
        "metadata": {},
        "payment_intent": each.payment_intent_id,
        "reason": each.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }


def dispute(each: Dispute) -> Object:
    """A charge that was disputed, and lost."""
    return {
        "id": each.dispute_id,
        "object": "dispute",
        "amount": each.amount,
        "balance_transactions": [],
        "charge": each.charge_id,
        "created": _epoch(each.created_at),
        "currency": each.currency,
        "evidence": {},
        "evidence_details": {"due_by": None, "has_evidence": False, "past_due": False},
        "is_charge_refundable": False,
        "livemode": True,
        "metadata": {},
        "payment_intent": each.payment_intent_id,
        "reason": "fraudulent",
        "status": "lost",
    }


def _address(country: str) -> Object:
    return {
        "city": None,
        "country": country,
        "line1": None,
        "line2": None,
        "postal_code": None,
        "state": None,
    }


def _epoch(instant: datetime) -> int:
    return int(instant.timestamp())


def _epoch_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else _epoch(instant)
