-- Of stays that overlap, the one that began last counts: a trip interrupts a year abroad. Cut into
-- months, so that a corrected stay changes only its own: tables read the months that they overlap.
with told as (
    select
        place,
        zone,
        start_at,
        coalesce(end_at, timestamp '9999-01-01') as end_at,
        source || '/' || record_key as stay
    from {{ ref('int_stays') }}
),

bounds as (
    select start_at as instant from told
    union
    select end_at from told
    union
    select unnest(
        generate_series(
            (select date_trunc('month', min(start_at)) from told),
            date_trunc('month', current_date + interval 2 months),
            interval 1 month
        )
    )
),

pieces as (
    select
        instant as start_at,
        lead(instant) over (order by instant) as end_at
    from bounds
),

decided as (
    select
        pieces.start_at,
        pieces.end_at,
        arg_max(told, (told.start_at, told.stay)) as told
    from pieces
    inner join told on told.start_at <= pieces.start_at and told.end_at > pieces.start_at
    group by all
)

select
    {{ month_of('start_at') }} as month,
    start_at,
    end_at,
    told.zone as zone,
    told.place as place,
    told.stay as stay
from decided
where {{ partition_window(month_of('start_at')) }}
