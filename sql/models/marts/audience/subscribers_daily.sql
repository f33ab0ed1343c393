with growth as (
    select day, subscribers, new_subscribers, cancellations, net_new_subscribers
    from {{ ref('int_subscriber_growth') }}
    where {{ partition_window('day') }}
),

states as (
    select
        day,
        new,
        cancelled,
        -- who left on a day that nobody knows was never active for these figures
        sum(new - cancelled - bounced - complained - other_left - left_undated) over (
            order by day
        ) as active
    from {{ ref('subscriber_movements_daily') }}
),

days as (
    select day from growth
    union
    select day from states
    where {{ partition_window('day') }}
),

joined as (
    select
        days.day,
        growth.subscribers,
        growth.new_subscribers,
        growth.cancellations,
        growth.net_new_subscribers,
        cast(states.active as bigint) as active_by_states,
        -- nobody came or left on a day without a movement, once there are any
        case
            when states.day is null then null
            when states.day = days.day then states.new
            else 0
        end as new_by_states,
        case
            when states.day is null then null
            when states.day = days.day then states.cancelled
            else 0
        end as cancelled_by_states
    from days
    left join growth on growth.day = days.day
    asof left join states on days.day >= states.day
)

select
    day,
    coalesce(subscribers, active_by_states) as active,
    coalesce(new_subscribers, new_by_states) as new,
    coalesce(cancellations, cancelled_by_states) as cancelled,
    coalesce(
        net_new_subscribers,
        new_subscribers - cancellations,
        new_by_states - cancelled_by_states
    ) as net,
    active_by_states,
    new_by_states,
    cancelled_by_states,
    subscribers - active_by_states as disagreement
from joined
