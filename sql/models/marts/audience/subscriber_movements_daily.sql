with subscribers as (
    select day, state, joined_on, left_on
    from {{ ref('int_subscribers') }}
    where {{ partition_window('day') }}
)

select
    day,
    count(*) filter (where joined_on = day) as new,
    count(*) filter (where left_on = day and state = 'cancelled') as cancelled,
    count(*) filter (where left_on = day and state = 'bounced') as bounced,
    count(*) filter (where left_on = day and state = 'complained') as complained,
    count(*) filter (
        where left_on = day and state not in ('cancelled', 'bounced', 'complained')
    ) as other_left,
    count(*) filter (
        where joined_on = day and state <> 'active' and left_on is null
    ) as left_undated
from subscribers
group by day
