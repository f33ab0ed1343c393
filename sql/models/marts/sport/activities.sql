{# Who is believed for each figure: the first one that tells it. A recording is the device's own word;
   in a diary the person corrects names, kinds and distances. #}
{% set by_person = ['diary', 'recording', 'summary'] %}
{% set by_device = ['recording', 'diary', 'summary'] %}
{% set believed = {
    'kind': by_person,
    'name': by_person,
    'description': by_person,
    'start_at': by_device,
    'end_at': by_device,
    'moving_seconds': by_person,
    'distance_m': by_person,
    'elevation_gain_m': by_person,
    'heart_rate_average': by_device,
    'heart_rate_highest': by_device,
    'power_average': by_device,
    'power_highest': by_device,
    'power_normalized': by_device,
    'calories': by_person,
    'training_stress_score': by_device,
    'relative_effort': by_person,
    'perceived_exertion': by_person,
    'gear': by_person,
    'device': by_device
} -%}
with merges as (
    select * from {{ ref('activity_merges') }}
),

best as (
    select
        merges.activity_id,
        told.*
    from merges
    inner join {{ ref('int_activities') }} as told using (feed, record_key)
    qualify row_number() over (
        partition by merges.activity_id, told.role
        order by
            merges.gives_samples desc,
            -- a watch may tell of one activity in pieces
            if(told.role = 'summary', told.end_at - told.start_at, null) desc,
            merges.record
    ) = 1
),

{% for role in by_person -%}
{{ role }} as (
    select * from best where role = '{{ role }}'
),

{% endfor -%}
whole as (
    select
        activity_id,
        count(*) as records,
        list_sort(list_distinct(list(feed))) as feeds,
        any_value(record_key) filter (where record = activity_id) as record_key,
        any_value(lake_file) filter (where record = activity_id) as lake_file
    from merges
    group by activity_id
),

told as (
    select
        whole.activity_id,
        coalesce(diary.source, recording.source, summary.source) as source,
        {%- for field, order in believed.items() %}
        coalesce(
            {%- for each in order %}{{ each }}.{{ field }}{{ ', ' if not loop.last }}{% endfor -%}
        ) as {{ field }},
        {%- endfor %}
        coalesce(diary.is_commute, false) as is_commute,
        coalesce(diary.zone, recording.zone, summary.zone) as zone,
        recording.utc_offset_seconds,
        recording.utc_offset_seconds as told_offset_seconds,
        recording.maximum_heart_rate_setting,
        coalesce(recording.samples, 0) as samples,
        whole.records,
        whole.feeds,
        whole.record_key,
        whole.lake_file,
        to_json(
            map_from_entries(
                list_filter(
                    [
                        {%- for field, order in believed.items() %}
                        ('{{ field }}', case
                            {%- for each in order %}
                            when {{ each }}.{{ field }} is not null then {{ each }}.teller
                            {%- endfor %}
                        end){{ ',' if not loop.last }}
                        {%- endfor %}
                    ],
                    lambda told: told[2] is not null
                )
            )
        ) as told_by
    from whole
    left join diary using (activity_id)
    left join recording using (activity_id)
    left join summary using (activity_id)
)

select
    {{ month_of('start_at') }} as month,
    activity_id,
    local_day as day,
    {%- for field in believed %}
    {{ field }},
    {%- endfor %}
    is_commute,
    zone,
    zone_origin,
    local_at,
    stay as place,
    told_offset_seconds as utc_offset_seconds,
    maximum_heart_rate_setting,
    samples,
    records,
    feeds,
    told_by,
    source,
    record_key,
    lake_file
from {{ lived('told') }}
where {{ partition_window(month_of('start_at')) }}
