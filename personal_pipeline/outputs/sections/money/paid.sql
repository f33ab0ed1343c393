-- The largest payment on `$on` in a currency.
select
    coalesce(nullif(left(trim(description), 48), ''), 'a payee without a name') as payee,
    cast(-amount as decimal(18, 3)) as spent
from marts.transactions
where kind = 'spending' and posted_on = $on and posted_on < $day and lower(currency) = $currency
order by amount, transaction_id
limit 1
