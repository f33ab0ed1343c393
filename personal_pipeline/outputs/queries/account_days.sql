-- The last 731 days of every account that a statement tells of, a row an account, currency and day,
-- oldest first. The balance is null on a day of which it is not known.
select
    days.account_id,
    coalesce(days.account, 'Account') as account,
    coalesce(accounts.kind, 'bank') as kind,
    lower(days.currency) as currency,
    cast(days.day as date) as day,
    cast(days.balance as decimal(18, 3)) as balance,
    cast(days.stated_balance as decimal(18, 3)) as stated_balance,
    cast(days.difference as decimal(18, 3)) as difference,
    days.is_covered
from marts.accounts_daily as days
left join marts.accounts as accounts using (account_id)
where days.day < $day and days.day >= $day - interval 731 day
order by account, days.account_id, days.currency, days.day
