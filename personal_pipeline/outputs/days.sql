-- The daily line: one row per day before the day of the report, oldest first.
select
    cast(day as date) as day,
    cast(views as bigint) as views,
    cast(medium_earnings as decimal(18, 3)) as medium_earnings,
    cast(stories_published as bigint) as stories_published,
    cast(broadcasts_sent as bigint) as broadcasts_sent,
    cast(subscribers_active as bigint) as subscribers_active,
    cast(subscribers_new as bigint) as subscribers_new,
    cast(subscribers_cancelled as bigint) as subscribers_cancelled,
    cast(subscribers_net as bigint) as subscribers_net,
    cast(revenue_gross as decimal(18, 3)) as revenue_gross,
    cast(revenue_net as decimal(18, 3)) as revenue_net,
    lower(currency) as currency,
    coalesce(cast(revenue_other_currencies as bigint), 0) as revenue_other_currencies
from marts.creator_daily
where day < $day
order by day
