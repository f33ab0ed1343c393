select
    month,
    'apple_health' as source,
    'apple_health' as feed,
    'summary' as role,
    'apple' as teller,
    record_key,
    lake_file,
    {{ activity_kind('activity') }} as kind,
    start_at,
    {{ known_timezone('timezone') }} as zone,
    coalesce(end_at, start_at) as end_at,
    duration_minutes * 60 as moving_seconds,
    distance_m,
    heart_rate_average,
    heart_rate_highest,
    active_energy_kcal as calories,
    source_name as device
from {{ ref('stg_apple_health__workouts') }}
