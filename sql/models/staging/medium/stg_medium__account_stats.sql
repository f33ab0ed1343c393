with records as (
    select * from {{ lake('medium', 'account_stats') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'shape' as shape,
    cast(record ->> 'starts_on' as date) as starts_on,
    cast(record ->> 'ends_on' as date) as ends_on,
    record ->> 'username' as username,
    try_cast(record ->> '$.totals.presentations' as bigint) as presentations,
    try_cast(record ->> '$.totals.viewers' as bigint) as viewers,
    try_cast(record ->> '$.totals.readers' as bigint) as readers,
    try_cast(record ->> '$.totals.netFollowersGained' as bigint) as followers_gained,
    try_cast(record ->> '$.totals.netSubscribersGained' as bigint) as subscribers_gained,
    try_cast(record ->> 'followers' as bigint) as followers
from records
