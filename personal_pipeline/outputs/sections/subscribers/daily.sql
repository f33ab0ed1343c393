-- The subscribers by day, before the day of the report, oldest first. Null where it is not known.
select
    cast(day as date) as day,
    cast(subscribers_active as bigint) as active,
    cast(subscribers_new as bigint) as new,
    cast(subscribers_cancelled as bigint) as cancelled,
    cast(subscribers_net as bigint) as net,
    cast(broadcasts_sent as bigint) as sent
from marts.creator_daily
where day < $day
order by day
