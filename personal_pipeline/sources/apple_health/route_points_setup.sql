create table workout_route_points (
    month date,
    route varchar,
    number integer,
    measured_at timestamp,
    latitude double,
    longitude double,
    altitude double,
    speed double,
    course double,
    horizontal_accuracy double,
    vertical_accuracy double
)
