with records as (
    select
        *,
        -- phones before iOS 16 have attributes, later ones statistics
        from_json(
            coalesce(record -> '$.statistics', '[]'),
            '[{"type": "varchar", "sum": "varchar", "average": "varchar", "minimum": "varchar",
            "maximum": "varchar", "unit": "varchar"}]'
        ) as statistics
    from {{ lake('apple_health', 'workouts') }}
    where {{ partition_window('month') }}
),

told as (
    select
        *,
        list_filter(
            statistics, lambda each: starts_with(each.type, 'HKQuantityTypeIdentifierDistance')
        )[1] as distance,
        list_filter(
            statistics, lambda each: each.type = 'HKQuantityTypeIdentifierActiveEnergyBurned'
        )[1] as energy,
        list_filter(
            statistics, lambda each: each.type = 'HKQuantityTypeIdentifierHeartRate'
        )[1] as heart_rate
    from records
)

select
    month,
    key as record_key,
    lake_file,
    replace(record ->> '$.workoutActivityType', 'HKWorkoutActivityType', '') as activity,
    record ->> '$.sourceName' as source_name,
    {{ utc_from_text("record ->> '$.startDate'") }} as start_at,
    {{ utc_from_text("record ->> '$.endDate'") }} as end_at,
    {{ utc_from_text("record ->> '$.creationDate'") }} as created_at,
    record ->> '$.metadata.HKTimeZone' as timezone,
    {{ health_quantity("record ->> '$.duration'", "record ->> '$.durationUnit'") }}
        as duration_minutes,
    coalesce(
        {{ health_quantity('distance.sum', 'distance.unit') }},
        {{ health_quantity("record ->> '$.totalDistance'", "record ->> '$.totalDistanceUnit'") }}
    ) as distance_m,
    coalesce(
        {{ health_quantity('energy.sum', 'energy.unit') }},
        {{ health_quantity(
            "record ->> '$.totalEnergyBurned'", "record ->> '$.totalEnergyBurnedUnit'"
        ) }}
    ) as active_energy_kcal,
    nullif({{ health_quantity('heart_rate.average', 'heart_rate.unit') }}, 0) as heart_rate_average,
    nullif({{ health_quantity('heart_rate.minimum', 'heart_rate.unit') }}, 0) as heart_rate_lowest,
    nullif({{ health_quantity('heart_rate.maximum', 'heart_rate.unit') }}, 0) as heart_rate_highest,
    record ->> '$.routes[*].files[*]' as route_files,
    coalesce(json_array_length(record, '$.events'), 0) as events,
    record -> '$.metadata' as metadata,
    record -> '$.statistics' as statistics
from told
