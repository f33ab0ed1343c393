with responses as (
    select story_id
    from {{ ref('int_writings') }}
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
from {{ ref('int_story_days') }}
anti join responses using (story_id)
where {{ partition_window('month') }}
