with records as (
    select * from {{ lake('bank', 'categories') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'kind' as kind,
    try_cast(record ->> 'position' as bigint) as position,
    record ->> 'category' as category,
    record ->> '$.words[*]' as words,
    try_cast(record ->> 'transfer' as boolean) as is_transfer,
    record ->> 'account' as account_id,
    record ->> 'name' as account_name
from records
