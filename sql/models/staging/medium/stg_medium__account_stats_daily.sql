with records as (
    select * from {{ lake('medium', 'account_stats_daily') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    cast(record ->> 'day' as date) as day,
    try_cast(record ->> '$.point.stats.total.viewers' as bigint) as viewers,
    try_cast(record ->> '$.point.stats.total.readers' as bigint) as readers
from records
