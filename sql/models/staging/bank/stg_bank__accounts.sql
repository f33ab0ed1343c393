with records as (
    select * from {{ lake('bank', 'accounts') }}
    where {{ partition_window('month') }}
)

-- the number itself stays in the lake
select
    month,
    key as record_key,
    lake_file,
    record ->> 'account' as account_reference,
    record ->> 'feed' as feed,
    record ->> 'kind' as kind,
    record ->> 'bank' as bank,
    record ->> 'number_digest' as number_digest,
    coalesce(try_cast(record ->> 'whole' as boolean), false) as is_whole,
    record ->> 'last4' as last4,
    regexp_replace(record ->> 'name', '\d{5,}', '…', 'g') as name,
    record ->> 'title' as title,
    record ->> 'told_by' as told_by,
    regexp_replace(record ->> 'folder', '\d{5,}', '…', 'g') as folder,
    lower(record ->> 'currency') as currency
from records
