-- The last 24 months of income and spending, one row per month and currency, oldest first; the last
-- may be unfinished. Transfers between own accounts are neither. Amounts are positive, in major
-- units.
select
    cast(month as date) as month,
    lower(currency) as currency,
    cast(coalesce(sum(amount) filter (where kind = 'income'), 0) as decimal(18, 3)) as income,
    cast(-coalesce(sum(amount) filter (where kind = 'spending'), 0) as decimal(18, 3)) as spent,
    count(*) filter (where kind = 'transfer') as transfers
from marts.transactions
where posted_on < $day
group by month, lower(currency)
qualify dense_rank() over (order by month desc) <= 24
order by month, currency
