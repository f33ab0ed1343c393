-- the first of its kind is in the timeline anyway
select
    month,
    source,
    'record' as kind,
    record || '@' || cast(day as varchar) as record_key,
    lake_file,
    raw_key,
    start_at,
    zone,
    zone_origin,
    local_at,
    day,
    upper(record[1]) || record[2:] || ': ' || {{ shown_figure('value', 'unit') }} as title,
    concat_ws(
        ' · ', title, 'before: ' || {{ shown_figure('previous', 'unit') }}
    ) as detail
from {{ ref('records') }}
where previous is not null
