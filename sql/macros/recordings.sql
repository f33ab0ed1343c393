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
    {{ session_figure('total_timer_time') }} as moving_seconds,
    {{ session_figure('total_distance') }} as distance_m,
    {{ session_figure('total_ascent') }} as elevation_gain_m,
    {{ session_figure('avg_heart_rate') }} as heart_rate_average,
    {{ session_figure('max_heart_rate') }} as heart_rate_highest,
    {{ session_figure('avg_power') }} as power_average,
    {{ session_figure('max_power') }} as power_highest,
    {{ session_figure('normalized_power') }} as power_normalized,
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
