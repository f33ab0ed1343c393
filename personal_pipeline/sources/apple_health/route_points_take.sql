-- One list per column, in the order of the points.
with written as (
    select
        unnest($time) as measured_at,
        unnest($latitude) as latitude,
        unnest($longitude) as longitude,
        unnest($altitude) as altitude,
        unnest($speed) as speed,
        unnest($course) as course,
        unnest($horizontal_accuracy) as horizontal_accuracy,
        unnest($vertical_accuracy) as vertical_accuracy,
        generate_subscripts($time, 1) as number
),

read as (
    select
        number,
        -- not a cast to TIMESTAMPTZ: text that is not a time makes that very slow
        try_strptime(measured_at, ['%Y-%m-%dT%H:%M:%SZ', '%Y-%m-%dT%H:%M:%S.%fZ']) as measured_at,
        try_cast(latitude as double) as latitude,
        try_cast(longitude as double) as longitude,
        try_cast(altitude as double) as altitude,
        try_cast(speed as double) as speed,
        try_cast(course as double) as course,
        try_cast(horizontal_accuracy as double) as horizontal_accuracy,
        try_cast(vertical_accuracy as double) as vertical_accuracy
    from written
)

insert into workout_route_points
select cast(date_trunc('month', measured_at) as date), $route, *
from read
where
    measured_at >= timestamp '1990-01-01'
    and isfinite(latitude)
    and isfinite(longitude)
