-- Equal amounts that left one own account and arrived in another within five days, where nothing
-- shows whether they are one transfer, most recent first; without the bank's description.
select
    cast(gone.posted_on as date) as day,
    coalesce(gone.account, 'Account') as account,
    coalesce(come.account, 'Account') as to_account,
    cast(come.posted_on as date) as to_day,
    lower(gone.currency) as currency,
    cast(-gone.amount as decimal(18, 3)) as amount
from marts.transactions as gone
inner join marts.transactions as come on come.transaction_id = gone.perhaps_with
where gone.amount < 0 and gone.posted_on < $day and come.posted_on < $day
order by gone.posted_on desc, gone.amount, gone.transaction_id
limit 10
