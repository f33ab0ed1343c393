-- The workouts of the newest 26 weeks, the last one first.
select
    cast(start_at as date) as day,
    activity,
    duration_minutes as minutes,
    distance_m / 1000 as distance_km,
    active_energy_kcal,
    heart_rate_average,
    heart_rate_highest
from staging.stg_apple_health__workouts
where
    start_at < $day
    and start_at > (
        select max(start_at) from staging.stg_apple_health__workouts where start_at < $day
    ) - interval 26 week
order by start_at desc, record_key
