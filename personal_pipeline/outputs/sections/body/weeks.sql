-- The last 26 complete weeks, oldest first: the load, and the minutes in each heart rate zone.
select
    cast(week as date) as week,
    activities,
    distance_km,
    elevation_m,
    load,
    zone_1_minutes,
    zone_2_minutes,
    zone_3_minutes,
    zone_4_minutes,
    zone_5_minutes,
    resting_heart_rate,
    sleep_hours
from marts.athletic_performance_weekly
where week + interval 7 day <= $day and week + interval 27 week > $day
order by week
