with records as (
    select * from {{ lake('medium', 'story_stats') }}
    where {{ partition_window('month') }}
),

-- one place a figure, whichever shape it came in; a shape lacks what it does not know
unified as (
    select
        *,
        coalesce(
            record ->> '$.post.totalStats.presentations',
            record ->> '$.post.postStatsTotalBundle.presentationCount'
        ) as presentations,
        coalesce(record ->> '$.post.totalStats.views', record ->> '$.post.views') as views,
        coalesce(record ->> '$.post.totalStats.reads', record ->> '$.post.reads') as reads,
        try_cast(record ->> '$.post.earnings.total.units' as bigint) as earnings_units,
        try_cast(record ->> '$.post.earnings.total.nanos' as bigint) as earnings_nanos
    from records
),

typed as (
    select
        month,
        key as record_key,
        lake_file,
        record ->> 'story_id' as story_id,
        cast(record ->> 'captured_on' as date) as captured_on,
        record ->> 'shape' as shape,
        record ->> '$.post.title' as title,
        record ->> '$.post.slug' as slug,
        {{ utc_from_epoch_ms("record ->> '$.post.firstPublishedAt'") }} as published_at,
        try_cast(record ->> '$.post.readingTime' as double) as reading_time_minutes,
        try_cast(record ->> '$.post.isLocked' as boolean) as member_only,
        try_cast(presentations as bigint) as presentations,
        try_cast(views as bigint) as views,
        try_cast(reads as bigint) as reads,
        try_cast(record ->> '$.post.postStatsTotalBundle.viewersCount' as bigint) as viewers,
        try_cast(record ->> '$.post.postStatsTotalBundle.readersCount' as bigint) as readers,
        try_cast(record ->> '$.post.claps' as bigint) as claps,
        try_cast(record ->> '$.post.upvotes' as bigint) as fans,
        try_cast(
            record ->> '$.post.internalReferrerViews' as bigint
        ) as internal_referrer_views,
        try_cast(
            record ->> '$.post.postStatsTotalBundle.netFollowerCount' as bigint
        ) as followers_gained,
        try_cast(
            record ->> '$.post.postStatsTotalBundle.netSubscriberCount' as bigint
        ) as subscribers_gained,
        lower(record ->> '$.post.earnings.total.currencyCode') as earnings_currency,
        try_cast(
            coalesce(earnings_units * 1.000, earnings_nanos * 0.000)
            + coalesce(earnings_nanos, 0) * 0.000000001
            as decimal(18, 3)
        ) as earnings
    from unified
)

select
    *,
    cast(round(earnings * 100) as bigint) as earnings_minor
from typed
