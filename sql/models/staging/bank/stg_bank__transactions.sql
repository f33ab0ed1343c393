with records as (
    select * from {{ lake('bank', 'transactions') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'account' as account_reference,
    record ->> 'feed' as feed,
    record ->> 'id' as source_id,
    try_cast(record ->> 'occurrence' as bigint) as occurrence,
    try_cast(record ->> 'posted_on' as date) as posted_on,
    try_cast(record ->> 'transacted_on' as date) as transacted_on,
    try_cast(record ->> 'amount' as decimal(38, 18)) as amount,
    lower(record ->> 'currency') as currency,
    record ->> 'description' as description,
    record ->> 'memo' as memo,
    record ->> 'kind' as kind,
    record ->> 'category' as bank_category,
    record ->> 'check_number' as check_number,
    record ->> 'text' as text,
    coalesce(try_cast(record ->> 'pending' as boolean), false) as is_pending,
    record ->> 'corrects' as corrects_id,
    record ->> 'correction' as correction
from records
