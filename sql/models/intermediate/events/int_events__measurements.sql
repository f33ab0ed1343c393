-- apps pass on to each other what the scale told once
select
    month,
    source,
    'weighing' as kind,
    record_key,
    lake_file,
    start_at,
    zone,
    format('{:.1f} kg', value) as title,
    nullif(device, '') as detail
from {{ ref('int_measurements') }}
where metric = 'weight' and value > 0
qualify row_number() over (
    partition by month, start_at, round(value, 1) order by priority, source, record_key
) = 1
