with records as (
    select * from {{ lake('medium', 'story_earnings_monthly') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        key as record_key,
        lake_file,
        record ->> 'story_id' as story_id,
        cast(record ->> 'period_starts_on' as date) as period_starts_on,
        record ->> '$.amount.post.title' as title,
        try_cast(record ->> '$.amount.amount' as bigint) as earnings_minor
    from records
)

select
    *,
    -- the page counts in US cents
    case when earnings_minor is not null then 'usd' end as earnings_currency,
    {{ minor_to_major('earnings_minor', "'usd'") }} as earnings
from typed
