-- The last 24 months of subscribers, oldest first; the last may be unfinished. `active` is the
-- value on the most recent day of the month.
select
    cast(date_trunc('month', day) as date) as month,
    cast(arg_max(active, day) filter (where active is not null) as bigint) as active,
    cast(sum(new) as bigint) as new,
    cast(sum(cancelled) as bigint) as cancelled,
    cast(sum(net) as bigint) as net
from marts.subscribers_daily
where day < $day
group by date_trunc('month', day)
qualify row_number() over (order by month desc) <= 24
order by month
