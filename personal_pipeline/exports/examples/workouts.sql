-- description: Workouts, as a calendar to subscribe to.
-- format: ics
-- when: change
select
    activity_id as uid,
    start_at,
    end_at,
    coalesce(name, upper(kind[1]) || kind[2:], 'Activity') as title,
    concat_ws(
        ' · ',
        format('{:.1f} km', distance_m / 1000),
        format('{:.0f} min', moving_seconds / 60),
        format('{:.0f} bpm', heart_rate_average)
    ) as detail,
    place
from activities
order by start_at
