-- The ten largest payments per currency of the most recent month covered by a statement.
with newest as (
    select date_trunc('month', max(day)) as month
    from marts.accounts_daily
    where day < $day and is_covered
)

select
    cast(posted_on as date) as day,
    coalesce(nullif(left(trim(description), 48), ''), 'without a description') as payee,
    coalesce(account, 'Account') as account,
    lower(currency) as currency,
    coalesce(category, 'uncategorised') as category,
    cast(-amount as decimal(18, 3)) as spent
from marts.transactions
where
    kind = 'spending'
    and posted_on < $day
    and date_trunc('month', posted_on) = (select month from newest)
qualify row_number() over (partition by lower(currency) order by amount, transaction_id) <= 10
order by currency, amount, transaction_id
