-- The last 24 months of revenue, one row per month and currency, oldest first; the last may be
-- unfinished. Amounts in major units. The table counts events, so a month for which a service has
-- no data yet is zero in it: null here. `$stripe_until` and `$medium_until` are the most recent
-- days with data from each service.
with months as (
    select
        cast(month as date) as month,
        lower(currency) as currency,
        cast(gross as decimal(18, 3)) as gross,
        cast(fees as decimal(18, 3)) as fees,
        cast(refunds as decimal(18, 3)) as refunds,
        cast(net as decimal(18, 3)) as net,
        cast(payouts as decimal(18, 3)) as payouts,
        cast(mrr as decimal(18, 3)) as mrr,
        cast(medium_earnings as decimal(18, 3)) as medium_earnings,
        cast(subscriptions_active as bigint) as subscriptions_active,
        cast(subscriptions_started as bigint) as subscriptions_started,
        cast(subscriptions_ended as bigint) as subscriptions_ended
    from marts.revenue_monthly
    where month < $day and currency is not null
    qualify dense_rank() over (order by month desc) <= 24
)

select
    months.month,
    months.currency,
    stripe.gross,
    stripe.fees,
    stripe.refunds,
    -- refunds, disputes and anything else that makes the net smaller than gross minus fees
    stripe.gross - stripe.fees - stripe.net as taken_back,
    stripe.gross - stripe.fees - stripe.net - stripe.refunds as other,
    stripe.net,
    stripe.payouts,
    stripe.mrr,
    stripe.subscriptions_active,
    stripe.subscriptions_started,
    stripe.subscriptions_ended,
    medium.medium_earnings,
    stripe.net + medium.medium_earnings as together
from months
left join months as stripe
    on stripe.month = months.month
    and stripe.currency = months.currency
    and months.month <= cast($stripe_until as date)
left join months as medium
    on medium.month = months.month
    and medium.currency = months.currency
    and months.month <= cast($medium_until as date)
order by months.month, months.currency
