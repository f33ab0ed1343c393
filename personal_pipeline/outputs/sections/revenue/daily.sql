-- The revenue by day in the main currency, before the day of the report, oldest first.
select
    cast(day as date) as day,
    cast(revenue_gross as decimal(18, 3)) as gross,
    cast(revenue_net as decimal(18, 3)) as net,
    lower(currency) as currency,
    cast(medium_earnings as decimal(18, 3)) as medium_earnings
from marts.creator_daily
where day < $day
order by day
