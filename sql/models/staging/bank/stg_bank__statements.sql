with records as (
    select * from {{ lake('bank', 'statements') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'account' as account_reference,
    record ->> 'feed' as feed,
    try_cast(record ->> 'start' as date) as starts_on,
    try_cast(record ->> 'end' as date) as ends_on,
    record ->> 'made_at' as made_at,
    record ->> '$.transactions[*]' as transaction_keys
from records
