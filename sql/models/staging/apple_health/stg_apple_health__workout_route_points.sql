{% set columns = {
    'route': 'varchar', 'number': 'integer', 'measured_at': 'timestamp', 'latitude': 'double',
    'longitude': 'double', 'altitude': 'double', 'speed': 'double', 'course': 'double',
    'horizontal_accuracy': 'double', 'vertical_accuracy': 'double'
} -%}
select
    month,
    route || '/' || number as record_key,
    lake_file,
    route,
    number,
    measured_at,
    latitude,
    longitude,
    altitude,
    speed,
    course,
    horizontal_accuracy,
    vertical_accuracy
from {{ lake_table('apple_health', 'workout_route_points', columns) }}
where {{ partition_window('month') }}
