select
    month,
    'medium' as source,
    record_key,
    lake_file,
    story_id,
    day,
    views,
    internal_referrer_views,
    member_reading_seconds,
    earnings,
    earnings_final
from {{ ref('stg_medium__story_stats_daily') }}
