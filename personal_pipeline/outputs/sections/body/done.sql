-- The longest activity that began on `$on`.
select
    coalesce(name, upper(kind[1]) || kind[2:], 'Activity') as activity,
    coalesce(moving_seconds, epoch(end_at - start_at)) / 60 as minutes,
    distance_m / 1000 as distance_km
from marts.activities
where cast(start_at as date) = $on and start_at < $day
order by 2 desc nulls last, activity_id
limit 1
