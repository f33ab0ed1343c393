-- What was spent in each category on each day of the last 14 months, in major units.
select
    cast(posted_on as date) as day,
    lower(currency) as currency,
    coalesce(category, 'uncategorised') as category,
    cast(-sum(amount) as decimal(18, 3)) as spent
from marts.transactions
where
    kind = 'spending'
    and posted_on < $day
    and posted_on >= date_trunc('month', $day - interval 14 month)
group by posted_on, lower(currency), coalesce(category, 'uncategorised')
order by day, currency, category
