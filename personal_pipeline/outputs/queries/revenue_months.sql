-- The last 24 months of revenue, a row a month and currency, oldest first; the last may be
-- unfinished. Amounts in major units.
select
    cast(month as date) as month,
    lower(currency) as currency,
    cast(gross as decimal(18, 3)) as gross,
    cast(fees as decimal(18, 3)) as fees,
    cast(refunds as decimal(18, 3)) as refunds,
    cast(net as decimal(18, 3)) as net,
    cast(payouts as decimal(18, 3)) as payouts,
    cast(medium_earnings as decimal(18, 3)) as medium_earnings,
    cast(mrr as decimal(18, 3)) as mrr,
    cast(subscriptions_active as bigint) as subscriptions_active,
    cast(subscriptions_started as bigint) as subscriptions_started,
    cast(subscriptions_ended as bigint) as subscriptions_ended
from marts.revenue_monthly
where month < $day and currency is not null
qualify dense_rank() over (order by month desc) <= 24
order by month, currency
