{# The columns of a recording, the same for every source that brings files. Names in the session are
   those of FIT; figures that are impossible, as devices write for want of better, are none. #}
{% macro recording_columns() -%}
    month,
    key as record_key,
    lake_file,
    record ->> '$.file' as file,
    record ->> '$.content' as content,
    try_cast(record ->> '$.number' as integer) as number,
    record ->> '$.format' as format,
    record ->> '$.session.sport' as sport,
    record ->> '$.session.sub_sport' as sub_sport,
    {{ utc_from_text("record ->> '$.start_at'") }} as start_at,
    {{ utc_from_text("record ->> '$.end_at'") }} as end_at,
    try_cast(record ->> '$.utc_offset_seconds' as integer) as utc_offset_seconds,
    {{ figure_or_computed('total_timer_time') }} as moving_seconds,
    {{ figure_or_computed('total_distance') }} as distance_m,
    {{ session_figure('total_ascent') }} as elevation_gain_m,
    {{ figure_or_computed('avg_heart_rate') }} as heart_rate_average,
    {{ highest_figure('max_heart_rate') }} as heart_rate_highest,
    {{ figure_or_computed('avg_power') }} as power_average,
    {{ highest_figure('max_power') }} as power_highest,
    nullif({{ session_figure('normalized_power') }}, 0) as power_normalized,
    {{ session_figure('total_calories') }} as calories,
    {{ session_figure('training_stress_score') }} as training_stress_score,
    coalesce(
        record ->> '$.session.device',
        nullif(
            concat_ws(
                ' ',
                record ->> '$.file_id.manufacturer',
                coalesce(
                    record ->> '$.file_id.product_name',
                    record ->> '$.file_id.garmin_product',
                    record ->> '$.file_id.product'
                )
            ),
            ''
        )
    ) as device,
    record ->> '$.file_id.serial_number' as serial_number,
    {{ utc_from_text("record ->> '$.file_id.time_created'") }} as made_at,
    nullif(
        greatest(
            try_cast(record ->> '$.zones_target.max_heart_rate' as integer),
            try_cast(record ->> '$.user_profile.default_max_running_heart_rate' as integer),
            try_cast(record ->> '$.user_profile.default_max_biking_heart_rate' as integer),
            try_cast(record ->> '$.user_profile.default_max_heart_rate' as integer)
        ),
        0
    ) as maximum_heart_rate_setting,
    coalesce(try_cast(record ->> '$.samples' as integer), 0) as samples,
    coalesce(try_cast(record ->> '$.is_summed_up' as boolean), false) as is_summed_up,
    coalesce(json_array_length(record, '$.laps'), 0) as laps,
    record -> '$.session' as session,
    record -> '$.developer_fields' as developer_fields
{%- endmacro %}


{% macro session_figure(name) -%}
    case when try_cast(record ->> '$.session.{{ name }}' as double) >= 0
        then try_cast(record ->> '$.session.{{ name }}' as double) end
{%- endmacro %}


{% macro computed_figure(name) -%}
    try_cast(record ->> '$.computed.{{ name }}' as double)
{%- endmacro %}


{# A figure as the session tells it, else as its samples and laps do. A 0 tells nothing where there
   are other numbers; a pulse and a power of 0 are what a device without a sensor writes. #}
{% macro figure_or_computed(name) -%}
    coalesce(
        nullif({{ session_figure(name) }}, 0),
        {{ computed_figure(name) }}
        {%- if not name.startswith('avg_') %},
        {{ session_figure(name) }}
        {%- endif %}
    )
{%- endmacro %}


{# The highest that the session, a sample or a lap tells. #}
{% macro highest_figure(name) -%}
    nullif(greatest({{ session_figure(name) }}, {{ computed_figure(name) }}), 0)
{%- endmacro %}


{# The columns of samples as they lie in the lake. #}
{% macro sample_columns() -%}
    {{ return({
        'recording': 'varchar', 'number': 'integer', 'measured_at': 'timestamp',
        'latitude': 'double', 'longitude': 'double', 'altitude': 'double', 'distance': 'double',
        'speed': 'double', 'heart_rate': 'double', 'cadence': 'double', 'power': 'double',
        'temperature': 'double', 'grade': 'double', 'more': 'varchar'
    }) }}
{%- endmacro %}


{% macro selected_sample_columns() -%}
    month,
    recording || '/' || number as record_key,
    lake_file,
    recording,
    number,
    measured_at,
    latitude,
    longitude,
    altitude,
    distance,
    speed,
    heart_rate,
    cadence,
    power,
    temperature,
    grade,
    cast(more as json) as more
{%- endmacro %}


{# What the sessions of files (`recordings`, a table with the columns above) tell, as
   int_activities has it. `file` is for sources that name their files in a row of their own. #}
{% macro recorded_activities(source, feed, recordings) -%}
select
    month,
    '{{ source }}' as source,
    '{{ feed }}' as feed,
    'recording' as role,
    'file' as teller,
    record_key,
    lake_file,
    {{ activity_kind("concat_ws(' ', sport, sub_sport)") }} as kind,
    session ->> '$.name' as name,
    start_at,
    end_at,
    moving_seconds,
    distance_m,
    elevation_gain_m,
    heart_rate_average,
    heart_rate_highest,
    power_average,
    power_highest,
    power_normalized,
    calories,
    training_stress_score,
    device,
    utc_offset_seconds,
    maximum_heart_rate_setting,
    file,
    serial_number || ' ' || made_at || ' ' || number as moment,
    format,
    samples
from {{ recordings }}
{%- endmacro %}


{# Their samples (a table with the columns above), as int_activity_samples has them. #}
{% macro recorded_samples(source, feed, samples) -%}
select
    month,
    '{{ source }}' as source,
    '{{ feed }}' as feed,
    recording,
    lake_file,
    number,
    measured_at,
    latitude,
    longitude,
    altitude as altitude_m,
    distance as distance_m,
    speed as speed_m_s,
    heart_rate,
    cadence,
    power,
    temperature,
    grade,
    more
from {{ samples }}
{%- endmacro %}
