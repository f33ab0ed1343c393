with records as (
    select * from {{ lake('medium', 'story_stats_daily') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        key as record_key,
        lake_file,
        record ->> 'story_id' as story_id,
        cast(record ->> 'day' as date) as day,
        try_cast(record ->> '$.stats.views' as bigint) as views,
        try_cast(record ->> '$.stats.internalReferrerViews' as bigint) as internal_referrer_views,
        try_cast(record ->> '$.stats.memberTtr' as bigint) as member_reading_seconds,
        try_cast(record ->> '$.earnings.amount' as bigint) as earnings_minor,
        try_cast(record ->> 'final' as boolean) as earnings_final
    from records
)

select
    *,
    -- the answer names no currency; the partner program counts in US cents
    case when earnings_minor is not null then 'usd' end as earnings_currency,
    {{ minor_to_major('earnings_minor', "'usd'") }} as earnings
from typed
