-- The activities of the 26 weeks up to the most recent one, most recent first.
select
    cast(start_at as date) as day,
    coalesce(name, upper(kind[1]) || kind[2:], 'Activity') as activity,
    coalesce(moving_seconds, epoch(end_at - start_at)) / 60 as minutes,
    distance_m / 1000 as distance_km,
    calories as active_energy_kcal,
    heart_rate_average,
    heart_rate_highest
from marts.activities
where
    start_at < $day
    and start_at > (select max(start_at) from marts.activities where start_at < $day)
    - interval 26 week
order by start_at desc, activity_id
