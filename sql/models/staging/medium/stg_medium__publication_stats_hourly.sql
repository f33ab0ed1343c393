with records as (
    select * from {{ lake('medium', 'publication_stats_hourly') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'measure' as measure,
    {{ utc_from_text("record ->> 'hour'") }} as hour_starts_at,
    try_cast(record ->> '$.point.views' as bigint) as views,
    try_cast(record ->> '$.point.ttrMs' as bigint) as reading_milliseconds,
    try_cast(record ->> '$.point.dailyUniqueVisitors' as bigint) as daily_unique_visitors
from records
