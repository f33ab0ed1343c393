with records as (
    select * from {{ lake_days('kit', 'growth_stats') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    {{ utc_from_text("record ->> 'starting'") }} as starts_at,
    {{ utc_from_text("record ->> 'ending'") }} as ends_at,
    try_cast(record ->> 'subscribers' as bigint) as subscribers,
    try_cast(record ->> 'new_subscribers' as bigint) as new_subscribers,
    -- Kit gives a negative number
    abs(try_cast(record ->> 'cancellations' as bigint)) as cancellations,
    try_cast(record ->> 'net_new_subscribers' as bigint) as net_new_subscribers
from records
