with activities as (
    select
        *,
        cast(date_trunc('week', day) as date) as week,
        coalesce(moving_seconds, epoch(end_at - start_at)) as seconds
    from {{ ref('activities') }}
),

-- 1. The maximum: what was held for 20 seconds in any activity, or what the device was told. Without
-- any reading, the highest that a summary tells.
held as (
    select heart_rate
    from {{ ref('activity_heart_rate') }}
    qualify sum(seconds) over (partition by activity_id order by heart_rate desc) >= 20
),

maximum as (
    select
        coalesce(
            greatest(
                (select max(heart_rate) from held),
                (select max(maximum_heart_rate_setting) from activities)
            ),
            (select max(heart_rate_highest) from activities)
        ) as heart_rate
),

-- 2. Time in zones. The time without a reading counts at the average, which the device knows better:
-- some keep a reading every few minutes, and of others only the average came.
covered as (
    select activity_id, sum(seconds) as seconds
    from {{ ref('activity_heart_rate') }}
    group by activity_id
),

measured as (
    select activity_id, heart_rate, seconds from {{ ref('activity_heart_rate') }}
    union all
    select
        activities.activity_id,
        activities.heart_rate_average,
        activities.seconds - coalesce(covered.seconds, 0)
    from activities
    left join covered using (activity_id)
    where
        activities.heart_rate_average is not null
        and activities.seconds > coalesce(covered.seconds, 0)
),

zoned as (
    select
        measured.activity_id,
        {{ heart_rate_zone('measured.heart_rate', 'maximum.heart_rate') }} as zone,
        measured.seconds / 60 as minutes
    from measured
    cross join maximum
),

zones as (
    select
        activity_id,
        {%- for zone in range(1, 6) %}
        coalesce(sum(minutes) filter (where zone = {{ zone }}), 0) as zone_{{ zone }}_minutes,
        {%- endfor %}
        sum(zone * minutes) as load
    from zoned
    group by activity_id
),

sport as (
    select
        activities.week,
        count(*) as activities,
        sum(coalesce(activities.distance_m, 0)) / 1000 as distance_km,
        sum(coalesce(activities.elevation_gain_m, 0)) as elevation_m,
        sum(coalesce(activities.seconds, 0)) / 3600 as moving_hours,
        sum(coalesce(zones.load, 0)) as load,
        {%- for zone in range(1, 6) %}
        sum(coalesce(zones.zone_{{ zone }}_minutes, 0)) as zone_{{ zone }}_minutes,
        {%- endfor %}
        sum(activities.relative_effort) as relative_effort,
        coalesce(sum(activities.seconds) filter (where zones.activity_id is null), 0) / 3600
            as hours_without_heart_rate
    from activities
    left join zones using (activity_id)
    group by activities.week
),

body as (
    select
        cast(date_trunc('week', day) as date) as week,
        avg(resting_heart_rate) as resting_heart_rate,
        avg(asleep_minutes) / 60 as sleep_hours
    from {{ ref('health_daily') }}
    group by all
)

select
    week,
    coalesce(sport.activities, 0) as activities,
    round(coalesce(sport.distance_km, 0), 3) as distance_km,
    round(coalesce(sport.elevation_m, 0), 3) as elevation_m,
    round(coalesce(sport.moving_hours, 0), 3) as moving_hours,
    round(coalesce(sport.load, 0), 3) as load,
    {%- for zone in range(1, 6) %}
    round(coalesce(sport.zone_{{ zone }}_minutes, 0), 3) as zone_{{ zone }}_minutes,
    {%- endfor %}
    round(coalesce(sport.hours_without_heart_rate, 0), 3) as hours_without_heart_rate,
    sport.relative_effort,
    maximum.heart_rate as maximum_heart_rate,
    round(body.resting_heart_rate, 3) as resting_heart_rate,
    round(body.sleep_hours, 3) as sleep_hours,
    -- for what a sheet or a vault says of the week
    cast(null as varchar) as notes
from sport
full join body using (week)
cross join maximum
