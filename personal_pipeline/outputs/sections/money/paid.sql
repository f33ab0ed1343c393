-- The largest payment of a kind, spending or income, on `$on` in a currency.
select
    coalesce(nullif(left(trim(description), 48), ''), 'somebody without a name') as other_side,
    cast(abs(amount) as decimal(18, 3)) as amount
from marts.transactions
where kind = $kind and posted_on = $on and posted_on < $day and lower(currency) = $currency
order by abs(amount) desc, transaction_id
limit 1
