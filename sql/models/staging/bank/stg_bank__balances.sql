with records as (
    select * from {{ lake('bank', 'balances') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'account' as account_reference,
    record ->> 'feed' as feed,
    record ->> 'kind' as kind,
    try_cast(record ->> 'day' as date) as day,
    try_cast(record ->> 'balance' as decimal(38, 18)) as balance,
    lower(record ->> 'currency') as currency
from records
