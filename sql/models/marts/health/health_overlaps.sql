with best as (
    select
        day,
        metric,
        source_name
    from {{ ref('health_measures_daily') }}
    where {{ partition_window('month') }} and rank = 1
),

slept as (
    select * from {{ ref('sleep_nights') }}
    where {{ partition_window('month') }}
)

select
    measures.month,
    measures.day,
    measures.metric,
    measures.source_name,
    measures.priority,
    measures.records_left_out,
    measures.left_out,
    measures.counted,
    measures.unit,
    best.source_name as counted_source,
    if(
        measures.kind = 'amount',
        'a source that stands higher measured the same time',
        'a source that stands higher took readings on the same day'
    ) as reason
from {{ ref('health_measures_daily') }} as measures
inner join best using (day, metric)
where {{ partition_window('measures.month') }} and measures.records_left_out > 0
union all
select
    slept.month,
    slept.day,
    'sleep' as metric,
    slept.source_name,
    slept.priority,
    null as records_left_out,
    sum(greatest(slept.asleep_minutes, slept.in_bed_minutes)) as left_out,
    0 as counted,
    'min' as unit,
    min(counted.source_name) as counted_source,
    if(
        sum(slept.core_minutes + slept.deep_minutes + slept.rem_minutes) > 0,
        'a source that stands higher told of the same night',
        'another source told more of the same night'
    ) as reason
from slept
inner join slept as counted
    on counted.day = slept.day and counted.number = slept.number and counted.is_counted
where not slept.is_counted
group by slept.month, slept.day, slept.source_name, slept.priority
