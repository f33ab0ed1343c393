"""The invented life: the same from the same seed, and true to itself in every sum."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, timedelta
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.demo.chance import add_months, at
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.demo.money import invent_money

LAST_DAY = date(2026, 11, 20)

lives = st.builds(
    invent,
    years=st.just(1),
    seed=st.integers(0, 10_000),
    until=st.dates(date(2024, 2, 28), date(2026, 3, 1)),
)
a_few = settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def test_same_seed_same_life() -> None:
    assert invent(1, 5, LAST_DAY) == invent(1, 5, LAST_DAY)


def test_another_seed_is_another_life() -> None:
    one, other = invent(1, 5, LAST_DAY), invent(1, 6, LAST_DAY)
    assert {story.title for story in one.stories} != {story.title for story in other.stories}
    assert one.subscribers != other.subscribers
    assert one.money != other.money


def test_a_later_last_day_only_makes_the_life_longer() -> None:
    shorter = invent(1, 5, date(2026, 10, 9))
    longer = invent(1, 5, LAST_DAY, shorter.start)

    for story, grown in zip(shorter.stories, longer.stories, strict=False):
        assert story.story_id == grown.story_id
        assert story.days == grown.days[: len(story.days)]
    assert longer.audience_days[: len(shorter.audience_days)] == shorter.audience_days
    assert longer.account_days[: len(shorter.account_days)] == shorter.account_days
    for mine, theirs in (
        ([each.subscriber_id for each in shorter.subscribers],
         [each.subscriber_id for each in longer.subscribers]),
        ([(each.charge_id, each.amount, each.status) for each in shorter.money.charges],
         [(each.charge_id, each.amount, each.status) for each in longer.money.charges]),
        ([each.subscription_id for each in shorter.money.subscriptions],
         [each.subscription_id for each in longer.money.subscriptions]),
        ([(each.transaction_id, each.net) for each in shorter.money.balance_transactions],
         [(each.transaction_id, each.net) for each in longer.money.balance_transactions]),
        ([(each.payout_id, each.amount) for each in shorter.money.payouts],
         [(each.payout_id, each.amount) for each in longer.money.payouts]),
    ):  # fmt: skip
        assert theirs[: len(mine)] == mine
    assert len(longer.money.charges) > len(shorter.money.charges)


def test_a_paid_payout_fails_days_later() -> None:
    life = invent(1, 5, LAST_DAY)
    failed = next(each for each in life.money.payouts if each.status == "failed")

    def seen_on(day: date) -> str:
        money = invent_money(5, life.subscribers, life.start, day, 1)
        return next(each.status for each in money.payouts if each.payout_id == failed.payout_id)

    days = [failed.created_at.date() + timedelta(days=number) for number in range(5)]
    assert [seen_on(day) for day in days] == ["pending", "in_transit", "paid", "paid", "failed"]


@pytest.mark.parametrize("years", [0, -1])
def test_a_life_of_no_years_is_refused(years: int) -> None:
    with pytest.raises(ValueError, match="at least one year"):
        invent(years, 1, LAST_DAY)


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 11, 30), 3, date(2025, 2, 28)),
        (date(2024, 12, 1), -12, date(2023, 12, 1)),
        (date(2024, 1, 15), -1, date(2023, 12, 15)),
    ],
)
def test_adding_months(day: date, months: int, expected: date) -> None:
    assert add_months(day, months) == expected


# --- plausible ------------------------------------------------------------------------------------


def test_size_of_two_years(life: Life) -> None:
    assert 80 <= len(life.stories) <= 110
    assert 3_500 <= len(life.subscribers) <= 4_500
    assert 230 <= len(life.money.customers) <= 330
    assert 2_500 <= len(life.money.charges) <= 3_500
    assert 104 <= sum(each.status == "completed" for each in life.broadcasts) <= 110


def test_the_newsletter_grows_and_one_story_goes_viral(life: Life) -> None:
    active = [each.active for each in life.audience_days]
    assert active[-1] > 1.5 * active[-365] > 0
    viewers = [each.viewers for each in life.account_days]
    assert max(viewers) > 10 * median(viewers)
    totals = {story.story_id: sum(each.views for each in story.days) for story in life.stories}
    viral = max(life.stories, key=lambda story: totals[story.story_id])
    boosted = [totals[story.story_id] for story in life.stories if story.boosted_on]
    others = [totals[story.story_id] for story in life.stories if not story.boosted_on]
    assert viral.boosted_on is None
    assert median(boosted) > 2 * median(others)
    assert sum(boosted) / len(boosted) > sum(others) / len(others)


def test_everything_that_happens_to_money_has_happened(life: Life) -> None:
    statuses = Counter(each.status for each in life.money.subscriptions)
    assert {"active", "canceled", "incomplete_expired"} <= statuses.keys()
    assert {each.currency for each in life.money.charges} == {"usd", "eur"}
    assert {each.price.months for each in life.money.subscriptions} == {1, 12}
    assert {each.status for each in life.money.charges} == {"succeeded", "failed"}
    assert Counter(each.status for each in life.money.payouts)["failed"] == 1
    assert len(life.money.disputes) == 1
    assert any(each.amount_refunded not in (0, each.amount) for each in life.money.charges)
    assert {each.type for each in life.money.balance_transactions} == {
        "adjustment", "charge", "payout", "payout_failure", "refund", "stripe_fee",
    }  # fmt: skip
    states = Counter(each.state(life.end) for each in life.subscribers)
    assert states.keys() == {"active", "cancelled", "bounced", "complained"}


def test_nobody_is_real(life: Life) -> None:
    addresses = {each.email for each in life.subscribers}
    assert len({each.lower() for each in addresses}) == len(life.subscribers)
    addresses |= {each.email for each in life.money.charges} | {life.writer.email}
    assert {each.rpartition("@")[2] for each in addresses} == {"example.com", "example.org"}


# --- true to itself -------------------------------------------------------------------------------


@given(life=lives)
@a_few
def test_money_adds_up(life: Life) -> None:
    money = life.money
    movements = {each.transaction_id: each for each in money.balance_transactions}
    assert len(movements) == len(money.balance_transactions)
    assert len({each.charge_id for each in money.charges}) == len(money.charges)

    for charge in money.charges:
        if charge.balance_transaction_id is None:
            assert charge.status == "failed"
            assert charge.amount_refunded == 0
            continue
        movement = movements[charge.balance_transaction_id]
        assert (movement.amount, movement.currency) == (charge.amount, charge.currency)
        assert 0 < movement.fee < movement.amount
        assert movement.source_id == charge.charge_id

    given_back: dict[str, int] = defaultdict(int)
    for refund in money.refunds:
        given_back[refund.charge_id] += refund.amount
        assert movements[refund.balance_transaction_id].net == -refund.amount
    for charge in money.charges:
        assert charge.amount_refunded == given_back[charge.charge_id] <= charge.amount

    contained: dict[str, int] = defaultdict(int)
    for movement in money.balance_transactions:
        if movement.payout_id is not None:
            contained[movement.payout_id] += movement.net
    for payout in money.payouts:
        assert payout.amount == contained[payout.payout_id] > 0
        assert movements[payout.balance_transaction_id].net == -payout.amount
        if payout.failure_balance_transaction_id is not None:
            assert movements[payout.failure_balance_transaction_id].net == payout.amount

    left = sum(each.net for each in money.balance_transactions)
    waiting = sum(
        each.net
        for each in money.balance_transactions
        if each.payout_id is None and each.type != "payout"
    )
    assert left == waiting


@given(life=lives)
@a_few
def test_subscriptions_make_sense(life: Life) -> None:
    customers = {each.customer_id: each for each in life.money.customers}
    tagged = {each.email for each in life.subscribers if each.customer_from is not None}
    assert {each.email for each in customers.values()} == tagged
    for each in life.money.subscriptions:
        assert each.created_at >= customers[each.customer_id].created_at
        assert each.current_period_start < each.current_period_end
        over = each.status in ("canceled", "incomplete_expired")
        assert over == (each.ended_at is not None)
        if each.ended_at is not None:
            assert each.created_at < each.ended_at < life.end
        elif each.status != "past_due":
            assert each.current_period_start < life.end <= each.current_period_end
    for charge in life.money.charges:
        assert at(life.start) <= charge.created_at < life.end
        if charge.customer_id is not None:
            assert charge.created_at >= customers[charge.customer_id].created_at


@given(life=lives)
@a_few
def test_audience_agrees_with_itself_but_for_a_few_days(life: Life) -> None:
    came: Counter[date] = Counter(each.created_at.date() for each in life.subscribers)
    went: Counter[date] = Counter(
        each.left_at.date() for each in life.subscribers if each.left_at is not None
    )
    active = 0
    odd_days = 0
    for day in life.audience_days:
        active += came[day.day] - went[day.day]
        assert day.active >= active >= 0
        odd_days += (day.active, day.new, day.left) != (active, came[day.day], went[day.day])
    assert odd_days <= 0.05 * len(life.audience_days)
    for each in life.subscribers:
        assert each.left_at is None or each.created_at < each.left_at < life.end
        assert each.updated_at(life.end) >= each.created_at


def test_the_default_life_has_days_that_disagree(life: Life) -> None:
    came: Counter[date] = Counter(each.created_at.date() for each in life.subscribers)
    odd_days = [each for each in life.audience_days if each.new != came[each.day]]
    assert 1 <= len(odd_days) <= 15


@given(life=lives)
@a_few
def test_stories_agree_with_the_account(life: Life) -> None:
    views: Counter[date] = Counter()
    for story in life.stories:
        assert story.days[0].day == story.published_at.date()
        assert [each.day for each in story.days] == [
            story.days[0].day + timedelta(days=number) for number in range(len(story.days))
        ]
        assert story.days[-1].day == life.until
        assert story.boosted_on is None or story.member_only
        for each in story.days:
            views[each.day] += each.views
            assert 0 <= each.reads <= each.views <= each.presentations or each.views == 0
            assert 0 <= each.internal_referrer_views <= each.views
            assert each.earnings_cents == 0 or story.member_only
    assert len({story.story_id for story in life.stories}) == len(life.stories)
    assert len({story.title for story in life.stories}) == len(life.stories)
    assert life.account_days[0].day == life.start
    assert life.account_days[-1].day == life.until
    for account_day in life.account_days:
        assert account_day.readers <= account_day.viewers <= views[account_day.day]


def test_the_sheet_knows_the_stories(life: Life) -> None:
    ids = {story.story_id for story in life.stories}
    rows = [row for row in life.sheet if row.story_url]
    assert {row.story_url.partition("?")[0].rpartition("-")[2] for row in rows} <= ids
    assert len(rows) == len(life.sheet) - 1
    assert {row.boosted for row in rows} == {"TRUE", "FALSE", "yes", "x", ""}
    boosted = {story.story_id for story in life.stories if story.boosted_on is not None}
    ticked = {
        row.story_url.partition("?")[0].rpartition("-")[2]
        for row in rows
        if row.boosted in ("TRUE", "yes", "x")
    }
    assert ticked <= boosted
    assert len(boosted - ticked) <= 1
