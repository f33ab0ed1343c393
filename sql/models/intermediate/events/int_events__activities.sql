select
    month,
    source,
    'activity' as kind,
    activity_id as record_key,
    lake_file,
    record_key as raw_key,
    start_at,
    end_at,
    zone,
    zone_origin,
    local_at,
    day,
    coalesce(nullif(trim(name), ''), upper(kind[1]) || kind[2:], 'Activity') as title,
    concat_ws(
        ' · ',
        kind,
        if(distance_m > 0, format('{:.1f} km', distance_m / 1000), null),
        if(moving_seconds >= 60, {{ hours_and_minutes('moving_seconds') }}, null),
        if(elevation_gain_m >= 1, format('{:.0f} m up', elevation_gain_m), null),
        if(heart_rate_average > 0, format('{:.0f} bpm', heart_rate_average), null)
    ) as detail,
    place,
    description as text
from {{ ref('activities') }}
