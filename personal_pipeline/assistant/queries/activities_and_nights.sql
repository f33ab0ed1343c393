-- The night of an activity is the one from which one woke on its day.
with nights as (
    select * from sleep_nights where is_counted and not is_nap
)

select
    activities.day,
    activities.kind,
    activities.name,
    round(activities.distance_m / 1000, 2) as distance_km,
    round(activities.moving_seconds / 60, 1) as moving_minutes,
    activities.elevation_gain_m,
    activities.heart_rate_average,
    activities.place,
    activities.local_at,
    activities.activity_id,
    activities.reference,
    nights.asleep_minutes as night_asleep_minutes,
    nights.deep_minutes as night_deep_minutes,
    nights.rem_minutes as night_rem_minutes,
    nights.awake_minutes as night_awake_minutes,
    nights.reference as night_reference
from activities
left join nights using (day)
where (activities.day >= $since or $since is null)
    and (activities.day <= $until or $until is null)
    and (activities.kind = $kind or $kind is null)
order by
    case $order
        when 'distance' then activities.distance_m
        when 'duration' then activities.moving_seconds
    end desc nulls last,
    activities.day desc,
    activities.local_at desc,
    activities.activity_id
limit $limit
