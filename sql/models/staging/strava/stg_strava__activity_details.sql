with records as (
    select * from {{ lake('strava', 'activity_details') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> '$.name' as name,
    coalesce(record ->> '$.sport_type', record ->> '$.type') as activity,
    record ->> '$.description' as description,
    record ->> '$.private_note' as private_note,
    coalesce(record ->> '$.gear.name', record ->> '$.gear_id') as gear,
    {{ utc_from_text("record ->> '$.start_date'") }} as start_at,
    try_cast(record ->> '$.elapsed_time' as double) as elapsed_seconds,
    try_cast(record ->> '$.moving_time' as double) as moving_seconds,
    try_cast(record ->> '$.distance' as double) as distance_m,
    try_cast(record ->> '$.total_elevation_gain' as double) as elevation_gain_m,
    -- a pulse or a power of 0 is no measurement
    nullif(try_cast(record ->> '$.average_heartrate' as double), 0) as heart_rate_average,
    nullif(try_cast(record ->> '$.max_heartrate' as double), 0) as heart_rate_highest,
    nullif(try_cast(record ->> '$.average_watts' as double), 0) as power_average,
    nullif(try_cast(record ->> '$.max_watts' as double), 0) as power_highest,
    nullif(try_cast(record ->> '$.weighted_average_watts' as double), 0) as power_normalized,
    try_cast(record ->> '$.calories' as double) as calories,
    try_cast(record ->> '$.suffer_score' as double) as relative_effort,
    try_cast(record ->> '$.perceived_exertion' as double) as perceived_exertion,
    coalesce(try_cast(record ->> '$.commute' as boolean), false) as is_commute,
    record ->> '$.device_name' as device,
    -- without the offset that stands before it
    regexp_replace(record ->> '$.timezone', '^\([^)]*\)\s*', '') as timezone
from records
