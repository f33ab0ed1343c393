select
    month,
    'medium' as source,
    record_key,
    lake_file,
    story_id,
    captured_on,
    shape,
    title,
    'https://medium.com/p/' || story_id as permanent_url,
    published_at,
    reading_time_minutes,
    member_only,
    presentations,
    views,
    reads,
    earnings,
    earnings_currency
from {{ ref('stg_medium__story_stats') }}
