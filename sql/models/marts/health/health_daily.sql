with measures as (
    select
        day,
        sum(counted) filter (where metric = 'steps') as steps,
        sum(counted) filter (where metric = 'distance_walking_running') / 1000
            as distance_walking_running_km,
        sum(counted) filter (where metric = 'distance_cycling') / 1000 as distance_cycling_km,
        sum(counted) filter (where metric = 'distance_swimming') / 1000 as distance_swimming_km,
        sum(counted) filter (where metric = 'flights_climbed') as flights_climbed,
        sum(counted) filter (where metric = 'active_energy') as active_energy_kcal,
        sum(counted) filter (where metric = 'basal_energy') as basal_energy_kcal,
        sum(counted) filter (where metric = 'exercise') as exercise_minutes,
        min(lowest) filter (where metric = 'heart_rate') as heart_rate_lowest,
        sum(average * records) filter (where metric = 'heart_rate')
            / sum(records) filter (where metric = 'heart_rate') as heart_rate_average,
        max(highest) filter (where metric = 'heart_rate') as heart_rate_highest,
        any_value(average) filter (where metric = 'resting_heart_rate' and rank = 1)
            as resting_heart_rate,
        any_value(average) filter (where metric = 'heart_rate_variability' and rank = 1)
            as heart_rate_variability_ms,
        any_value(average) filter (where metric = 'respiratory_rate' and rank = 1)
            as respiratory_rate,
        any_value(average) filter (where metric = 'oxygen_saturation' and rank = 1)
            as oxygen_saturation,
        any_value(last) filter (where metric = 'vo2_max' and rank = 1) as vo2_max,
        any_value(last) filter (where metric = 'weight' and rank = 1) as weight_kg,
        any_value(last) filter (where metric = 'body_fat' and rank = 1) as body_fat
    from {{ ref('health_measures_daily') }}
    where {{ partition_window('month') }}
    group by day
),

nights as (
    select
        day,
        -- of the night; naps add to the minutes
        any_value(start_at) filter (where not is_nap) as start_at,
        any_value(end_at) filter (where not is_nap) as end_at,
        sum(in_bed_minutes) as in_bed_minutes,
        sum(asleep_minutes) as asleep_minutes,
        sum(core_minutes) as core_minutes,
        sum(deep_minutes) as deep_minutes,
        sum(rem_minutes) as rem_minutes,
        sum(unspecified_minutes) as unspecified_minutes,
        sum(awake_minutes) as awake_minutes
    from {{ ref('sleep_nights') }}
    where {{ partition_window('month') }} and is_counted
    group by day
),

rings as (
    select
        day,
        -- should several tell it, always the same one
        arg_min(value, source) as stand_hours
    from {{ ref('int_daily_measurements') }}
    where {{ partition_window('month') }} and metric = 'stand_hours'
    group by day
)

select
    {{ month_of('day') }} as month,
    day,
    cast(round(measures.steps) as bigint) as steps,
    measures.distance_walking_running_km,
    measures.distance_cycling_km,
    measures.distance_swimming_km,
    measures.flights_climbed,
    measures.active_energy_kcal,
    measures.basal_energy_kcal,
    measures.exercise_minutes,
    rings.stand_hours,
    measures.heart_rate_lowest,
    measures.heart_rate_average,
    measures.heart_rate_highest,
    measures.resting_heart_rate,
    measures.heart_rate_variability_ms,
    measures.respiratory_rate,
    measures.oxygen_saturation,
    nights.start_at as sleep_start_at,
    nights.end_at as sleep_end_at,
    nights.in_bed_minutes,
    nights.asleep_minutes,
    nights.core_minutes,
    nights.deep_minutes,
    nights.rem_minutes,
    nights.unspecified_minutes,
    nights.awake_minutes,
    measures.vo2_max,
    measures.weight_kg,
    measures.body_fat
from measures
full join nights using (day)
full join rings using (day)
