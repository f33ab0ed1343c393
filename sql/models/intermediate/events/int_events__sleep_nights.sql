select
    month,
    source,
    if(is_nap, 'nap', 'night') as kind,
    day || '/' || number as record_key,
    lake_file,
    record_key as raw_key,
    start_at,
    end_at,
    zone,
    zone_origin,
    local_at,
    day,
    if(
        asleep_minutes > 0, 'Slept ' || {{ hours_and_minutes('asleep_minutes * 60') }}, 'In bed'
    ) as title,
    concat_ws(
        ' · ',
        if(deep_minutes > 0, 'deep ' || {{ hours_and_minutes('deep_minutes * 60') }}, null),
        if(rem_minutes > 0, 'REM ' || {{ hours_and_minutes('rem_minutes * 60') }}, null),
        if(awake_minutes >= 1, 'awake ' || {{ hours_and_minutes('awake_minutes * 60') }}, null)
    ) as detail,
    place
from {{ ref('sleep_nights') }}
where is_counted
