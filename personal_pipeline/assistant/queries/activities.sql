select
    day,
    kind,
    name,
    round(distance_m / 1000, 2) as distance_km,
    round(moving_seconds / 60, 1) as moving_minutes,
    elevation_gain_m,
    heart_rate_average,
    place,
    local_at,
    activity_id,
    reference
from activities
where (day >= $since or $since is null)
    and (day <= $until or $until is null)
    and (kind = $kind or $kind is null)
order by
    case $order when 'distance' then distance_m when 'duration' then moving_seconds end desc nulls last,
    day desc,
    local_at desc,
    activity_id
limit $limit
