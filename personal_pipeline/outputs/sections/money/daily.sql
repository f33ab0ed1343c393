-- What was spent and came in on each day of the last 25 months, by currency, in major units.
select
    cast(posted_on as date) as day,
    lower(currency) as currency,
    cast(-coalesce(sum(amount) filter (where kind = 'spending'), 0) as decimal(18, 3)) as spent,
    cast(coalesce(sum(amount) filter (where kind = 'income'), 0) as decimal(18, 3)) as income
from marts.transactions
where posted_on < $day and posted_on >= date_trunc('month', $day - interval 25 month)
group by posted_on, lower(currency)
order by day, currency
