select
    month,
    'apple_health' as source,
    record_key,
    lake_file,
    day,
    'stand_hours' as metric,
    stand_hours as value,
    'hr' as unit
from {{ ref('stg_apple_health__activity_summaries') }}
