{# Who is believed for each figure: the first one that tells it. A file is the device's own word; the
   person corrects names, kinds and distances at Strava. #}
{% set believed = {
    'kind': ['strava', 'file', 'apple'],
    'name': ['strava', 'file'],
    'description': ['strava'],
    'start_at': ['file', 'strava', 'apple'],
    'end_at': ['file', 'strava', 'apple'],
    'moving_seconds': ['strava', 'file', 'apple'],
    'distance_m': ['strava', 'file', 'apple'],
    'elevation_gain_m': ['strava', 'file'],
    'heart_rate_average': ['file', 'strava', 'apple'],
    'heart_rate_highest': ['file', 'strava', 'apple'],
    'power_average': ['file', 'strava'],
    'power_highest': ['file', 'strava'],
    'power_normalized': ['file', 'strava'],
    'calories': ['strava', 'file', 'apple'],
    'training_stress_score': ['file'],
    'relative_effort': ['strava'],
    'perceived_exertion': ['strava'],
    'gear': ['strava'],
    'device': ['file', 'strava', 'apple']
} -%}
with merges as (
    select * from {{ ref('activity_merges') }}
),

told_by_strava as (
    select 'strava' as feed, * from {{ ref('stg_strava__activities') }}
    union all by name
    select 'strava_api' as feed, * from {{ ref('stg_strava__activity_details') }}
),

strava as (
    select
        merges.activity_id,
        merges.kind,
        merges.end_at,
        told_by_strava.*
    from merges
    inner join told_by_strava using (feed, record_key)
    qualify row_number() over (partition by merges.activity_id order by merges.record) = 1
),

recordings as (
    select 'fit' as feed, * from {{ ref('stg_fit__recordings') }}
    union all by name
    select 'strava_file' as feed, * from {{ ref('stg_strava__recordings') }}
),

file as (
    select
        merges.activity_id,
        merges.kind,
        session ->> '$.name' as name,
        recordings.*
    from merges
    inner join recordings using (feed, record_key)
    qualify row_number() over (
        partition by merges.activity_id order by merges.gives_samples desc, merges.record
    ) = 1
),

apple as (
    select
        merges.activity_id,
        merges.kind,
        merges.end_at,
        told.start_at,
        told.duration_minutes * 60 as moving_seconds,
        told.distance_m,
        told.heart_rate_average,
        told.heart_rate_highest,
        told.active_energy_kcal as calories,
        told.source_name as device
    from merges
    inner join {{ ref('stg_apple_health__workouts') }} as told using (record_key)
    where merges.feed = 'apple_health' and merges.place_in_feed = 1
),

whole as (
    select
        activity_id,
        count(*) as records,
        list_sort(list_distinct(list(feed))) as feeds
    from merges
    group by activity_id
)

select
    whole.activity_id,
    cast(coalesce(file.start_at, strava.start_at, apple.start_at) as date) as day,
    {%- for field, order in believed.items() %}
    coalesce(
        {%- for each in order %}{{ each }}.{{ field }}{{ ', ' if not loop.last }}{% endfor -%}
    ) as {{ field }},
    {%- endfor %}
    coalesce(strava.is_commute, false) as is_commute,
    file.utc_offset_seconds,
    file.maximum_heart_rate_setting,
    coalesce(file.samples, 0) as samples,
    whole.records,
    whole.feeds,
    to_json(
        map_from_entries(
            list_filter(
                [
                    {%- for field, order in believed.items() %}
                    ('{{ field }}', case
                        {%- for each in order %}
                        when {{ each }}.{{ field }} is not null then '{{ each }}'
                        {%- endfor %}
                    end){{ ',' if not loop.last }}
                    {%- endfor %}
                ],
                lambda told: told[2] is not null
            )
        )
    ) as told_by
from whole
left join strava using (activity_id)
left join file using (activity_id)
left join apple using (activity_id)
