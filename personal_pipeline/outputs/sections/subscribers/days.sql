-- The last 731 days of subscribers, oldest first.
select
    cast(day as date) as day,
    cast(active as bigint) as active,
    cast(new as bigint) as new,
    cast(cancelled as bigint) as cancelled,
    cast(net as bigint) as net,
    cast(active_by_states as bigint) as active_by_states,
    cast(disagreement as bigint) as disagreement
from marts.subscribers_daily
where day < $day and day >= $day - interval 731 day
order by day
