with told as (
    select 'strava' as feed, * from {{ ref('stg_strava__activities') }}
    union all by name
    select 'strava_api' as feed, * from {{ ref('stg_strava__activity_details') }}
)

select
    month,
    'strava' as source,
    feed,
    'diary' as role,
    'strava' as teller,
    record_key,
    lake_file,
    {{ activity_kind('activity') }} as kind,
    name,
    description,
    start_at,
    {{ known_timezone('timezone') }} as zone,
    start_at + to_seconds(least(coalesce(elapsed_seconds, moving_seconds, 0), 30 * 86400))
        as end_at,
    moving_seconds,
    distance_m,
    elevation_gain_m,
    heart_rate_average,
    heart_rate_highest,
    power_average,
    power_highest,
    power_normalized,
    calories,
    relative_effort,
    perceived_exertion,
    gear,
    device,
    is_commute,
    file
from told
union all by name
{{ recorded_activities('strava', 'strava_file', ref('stg_strava__recordings')) }}
