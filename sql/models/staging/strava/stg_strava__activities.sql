with records as (
    select * from {{ lake('strava', 'activities') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    {{ strava_text('Activity Name') }} as name,
    {{ strava_text('Activity Type') }} as activity,
    {{ strava_text('Activity Description') }} as description,
    {{ strava_text('Activity Private Note') }} as private_note,
    {{ strava_text('Activity Gear') }} as gear,
    {{ strava_text('Filename') }} as file,
    {{ utc_from_text("record ->> '$.start_at'") }} as start_at,
    {{ strava_figure(['Elapsed Time_2', 'Elapsed Time']) }} as elapsed_seconds,
    {{ strava_figure(['Moving Time']) }} as moving_seconds,
    try_cast(record ->> '$.distance_m' as double) as distance_m,
    {{ strava_figure(['Elevation Gain']) }} as elevation_gain_m,
    -- a pulse or a power of 0 is no measurement
    nullif({{ strava_figure(['Average Heart Rate']) }}, 0) as heart_rate_average,
    nullif({{ strava_figure(['Max Heart Rate_2', 'Max Heart Rate']) }}, 0) as heart_rate_highest,
    nullif({{ strava_figure(['Average Watts']) }}, 0) as power_average,
    nullif({{ strava_figure(['Max Watts']) }}, 0) as power_highest,
    nullif({{ strava_figure(['Weighted Average Power']) }}, 0) as power_normalized,
    {{ strava_figure(['Calories']) }} as calories,
    {{ strava_figure(['Relative Effort_2', 'Relative Effort']) }} as relative_effort,
    {{ strava_figure(['Perceived Exertion']) }} as perceived_exertion,
    coalesce(
        lower(coalesce({{ strava_text('Commute_2') }}, {{ strava_text('Commute') }}))
            in ('true', '1', '1.0'),
        false
    ) as is_commute,
    record -> 'columns' as columns
from records
