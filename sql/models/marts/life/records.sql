-- A figure sets a record when it is higher than all before it. Speeds that nobody reaches are those
-- of a device that lost its place.
{% set fastest = {'run': (3000, 7), 'ride': (10000, 25), 'walk': (3000, 4), 'swim': (500, 3)} -%}
with figures as (
    select
        activities.*,
        unnest([
            {'record': 'longest ' || kind, 'unit': 'm', 'value': distance_m},
            {'record': 'longest time of a ' || kind, 'unit': 's', 'value': moving_seconds},
            {'record': 'highest climb of a ' || kind, 'unit': 'm', 'value': elevation_gain_m},
            {
                'record': 'fastest ' || kind,
                'unit': 'm/s',
                'value': case
                    {%- for kind, (metres, most) in fastest.items() %}
                    when
                        kind = '{{ kind }}'
                        and distance_m >= {{ metres }}
                        and distance_m / nullif(moving_seconds, 0) <= {{ most }}
                        then distance_m / nullif(moving_seconds, 0)
                    {%- endfor %}
                end
            }
        ]) as figure
    from {{ ref('activities') }} as activities
    where kind is not null
),

told as (
    select
        source,
        lake_file,
        record_key as raw_key,
        start_at,
        zone,
        zone_origin,
        local_at,
        day,
        month,
        name as title,
        figure.record as record,
        figure.unit as unit,
        figure.value as value
    from figures
    union all by name
    select
        source,
        lake_file,
        record_key as raw_key,
        start_at,
        zone,
        zone_origin,
        local_at,
        day,
        month,
        'longest night' as record,
        's' as unit,
        asleep_minutes * 60 as value
    from {{ ref('sleep_nights') }}
    where is_counted and not is_nap
    union all by name
    select
        min(source) as source,
        day,
        month,
        'most steps in a day' as record,
        'steps' as unit,
        round(sum(counted)) as value
    from {{ ref('health_measures_daily') }}
    where metric = 'steps'
    group by month, day
),

compared as (
    select
        *,
        max(value) over (
            partition by record
            order by day, start_at, raw_key
            rows between unbounded preceding and 1 preceding
        ) as previous
    from told
    where value > 0
),

-- of several in a day the highest
set_on as (
    select *
    from compared
    where previous is null or value > previous
    qualify row_number() over (partition by record, day order by value desc, raw_key) = 1
)

select
    month,
    record,
    day,
    value,
    unit,
    previous,
    title,
    start_at,
    zone,
    zone_origin,
    local_at,
    source,
    lake_file,
    raw_key
from set_on
where {{ partition_window('month') }}
