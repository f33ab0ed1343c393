-- The newest workouts, the last one first: enough for four weeks of several a day.
select
    cast(start_at as date) as day,
    activity,
    duration_minutes as minutes,
    distance_m / 1000 as distance_km,
    active_energy_kcal,
    heart_rate_average,
    heart_rate_highest
from staging.stg_apple_health__workouts
where start_at < $day
order by start_at desc, record_key
limit 200
