-- The stories by day, before the day of the report, oldest first. Null where it is not known.
select
    cast(day as date) as day,
    cast(views as bigint) as views,
    cast(medium_earnings as decimal(18, 3)) as earnings,
    cast(stories_published as bigint) as published
from marts.creator_daily
where day < $day
order by day
