-- What Apple measures and nobody has named here is in staging only.
with metrics (measure, metric) as (
    values
    ('StepCount', 'steps'),
    ('DistanceWalkingRunning', 'distance_walking_running'),
    ('DistanceCycling', 'distance_cycling'),
    ('DistanceSwimming', 'distance_swimming'),
    ('FlightsClimbed', 'flights_climbed'),
    ('ActiveEnergyBurned', 'active_energy'),
    ('BasalEnergyBurned', 'basal_energy'),
    ('AppleExerciseTime', 'exercise'),
    ('HeartRate', 'heart_rate'),
    ('RestingHeartRate', 'resting_heart_rate'),
    ('HeartRateVariabilitySDNN', 'heart_rate_variability'),
    ('RespiratoryRate', 'respiratory_rate'),
    ('OxygenSaturation', 'oxygen_saturation'),
    ('VO2Max', 'vo2_max'),
    ('BodyMass', 'weight'),
    ('BodyFatPercentage', 'body_fat')
)

select
    records.month,
    'apple_health' as source,
    records.record_key,
    records.lake_file,
    metrics.metric,
    records.quantity as value,
    records.quantity_unit as unit,
    records.start_at,
    records.end_at,
    records.timezone as zone,
    coalesce(records.source_name, '') as device,
    {{ health_priority('records.source_name', 'records.device', 'records.is_user_entered') }}
        as priority
from {{ ref('stg_apple_health__records') }} as records
inner join metrics using (measure)
where records.quantity is not null
