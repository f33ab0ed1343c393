-- The last twelve days with a payout in any currency, most recent first. A returned payout is
-- negative.
select
    cast(day as date) as day,
    lower(currency) as currency,
    cast(payouts as decimal(18, 3)) as amount
from marts.revenue_daily
where day < $day and payouts <> 0
order by day desc, currency
limit 12
