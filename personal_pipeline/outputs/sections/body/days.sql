-- The last 731 days of the body, oldest first. A phone is exported in the middle of a day, so sums
-- are incomplete on the most recent one. Without a record of being asleep, all sleep figures are
-- unknown.
select
    cast(day as date) as day,
    if(day < newest, cast(steps as bigint), null) as steps,
    if(day < newest, distance_walking_running_km, null) as distance_km,
    if(day < newest, active_energy_kcal, null) as active_energy_kcal,
    if(day < newest, exercise_minutes, null) as exercise_minutes,
    resting_heart_rate,
    heart_rate_lowest,
    heart_rate_highest,
    heart_rate_variability_ms,
    if(asleep_minutes > 0, asleep_minutes, null) as asleep_minutes,
    if(asleep_minutes > 0, deep_minutes, null) as deep_minutes,
    if(asleep_minutes > 0, core_minutes, null) as core_minutes,
    if(asleep_minutes > 0, rem_minutes, null) as rem_minutes,
    if(asleep_minutes > 0, unspecified_minutes, null) as unspecified_minutes,
    if(asleep_minutes > 0, awake_minutes, null) as awake_minutes,
    if(in_bed_minutes > 0, in_bed_minutes, null) as in_bed_minutes,
    weight_kg
from marts.health_daily
cross join (select max(day) as newest from marts.health_daily)
where day < $day and day >= $day - interval 731 day
order by day
