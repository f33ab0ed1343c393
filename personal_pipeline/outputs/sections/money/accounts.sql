-- The last 731 days of every account with statements, one row per account, currency and day, oldest
-- first. The balance is null on days on which it is unknown. On days with a stated balance,
-- difference is its deviation from the previous stated balance plus all transactions since.
-- is_covered: a statement lists the transactions of the day.
select
    account_id,
    coalesce(account, 'Account') as account,
    lower(currency) as currency,
    cast(day as date) as day,
    cast(balance as decimal(18, 3)) as balance,
    cast(stated_balance as decimal(18, 3)) as stated_balance,
    cast(difference as decimal(18, 3)) as difference,
    is_covered
from marts.accounts_daily
where day < $day and day >= $day - interval 731 day
order by 2, account_id, currency, day
