with responses as (
    select post_id as story_id
    from {{ ref('stg_medium__account_export') }}
    where kind = 'response'
)

select
    month,
    story_id,
    day,
    views,
    internal_referrer_views,
    member_reading_seconds,
    earnings,
    earnings_final
from {{ ref('stg_medium__story_stats_daily') }}
anti join responses using (story_id)
where {{ partition_window('month') }}
