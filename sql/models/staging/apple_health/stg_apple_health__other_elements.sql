with records as (
    select * from {{ lake('apple_health', 'other_elements') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> '$.tag' as tag,
    record as content
from records
