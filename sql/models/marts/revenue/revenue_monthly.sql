with revenue as (
    select
        {{ month_of('day') }} as month,
        currency,
        sum(gross) as gross,
        sum(fees) as fees,
        sum(refunds) as refunds,
        sum(disputes) as disputes,
        sum(adjustments) as adjustments,
        sum(net) as net,
        sum(payouts) as payouts,
        sum(medium_earnings) as medium_earnings
    from {{ ref('revenue_daily') }}
    where {{ partition_window(month_of('day')) }}
    group by 1, 2
),

movements as (
    select
        {{ month_of('day') }} as month,
        currency,
        sum(started) as started,
        sum(ended) as ended,
        sum(mrr_started - mrr_ended + mrr_changed) as mrr_change
    from {{ ref('subscription_movements_daily') }}
    group by 1, 2
),

-- from the first movement of a currency to the current month: also a month in which nothing
-- happened has recurring revenue
months as (
    select
        currency,
        cast(
            unnest(
                generate_series(
                    min(month), date '{{ run_started_at.strftime("%Y-%m-01") }}', interval 1 month
                )
            ) as date
        ) as month
    from movements
    group by currency
),

recurring as (
    select
        months.month,
        months.currency,
        sum(movements.mrr_change) as mrr,
        sum(movements.started - movements.ended) as subscriptions_active,
        coalesce(
            sum(movements.started) filter (where movements.month = months.month), 0
        ) as subscriptions_started,
        coalesce(
            sum(movements.ended) filter (where movements.month = months.month), 0
        ) as subscriptions_ended
    from months
    inner join movements
        on movements.currency = months.currency
        and movements.month <= months.month
    where {{ partition_window('months.month') }}
    group by 1, 2
)

select
    month,
    currency,
    cast(coalesce(revenue.gross, 0) as decimal(18, 3)) as gross,
    cast(coalesce(revenue.fees, 0) as decimal(18, 3)) as fees,
    cast(coalesce(revenue.refunds, 0) as decimal(18, 3)) as refunds,
    cast(coalesce(revenue.disputes, 0) as decimal(18, 3)) as disputes,
    cast(coalesce(revenue.adjustments, 0) as decimal(18, 3)) as adjustments,
    cast(coalesce(revenue.net, 0) as decimal(18, 3)) as net,
    cast(coalesce(revenue.payouts, 0) as decimal(18, 3)) as payouts,
    cast(coalesce(revenue.medium_earnings, 0) as decimal(18, 3)) as medium_earnings,
    cast(coalesce(recurring.mrr, 0) as decimal(18, 3)) as mrr,
    cast(coalesce(recurring.subscriptions_active, 0) as bigint) as subscriptions_active,
    cast(coalesce(recurring.subscriptions_started, 0) as bigint) as subscriptions_started,
    cast(coalesce(recurring.subscriptions_ended, 0) as bigint) as subscriptions_ended
from revenue
full join recurring using (month, currency)
