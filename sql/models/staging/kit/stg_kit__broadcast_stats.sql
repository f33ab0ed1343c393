with records as (
    select * from {{ lake_days('kit', 'broadcast_stats') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    record ->> 'id' as broadcast_id,
    record ->> '$.stats.status' as status,
    try_cast(record ->> '$.stats.progress' as double) as progress,
    try_cast(record ->> '$.stats.recipients' as bigint) as recipients,
    try_cast(record ->> '$.stats.open_rate' as double) as open_rate,
    try_cast(record ->> '$.stats.click_rate' as double) as click_rate,
    try_cast(record ->> '$.stats.unsubscribe_rate' as double) as unsubscribe_rate,
    try_cast(record ->> '$.stats.emails_opened' as bigint) as emails_opened,
    try_cast(record ->> '$.stats.unsubscribes' as bigint) as unsubscribes,
    try_cast(record ->> '$.stats.total_clicks' as bigint) as total_clicks
from records
