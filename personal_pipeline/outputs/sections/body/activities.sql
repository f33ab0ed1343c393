-- The activities on each day.
select
    cast(start_at as date) as day,
    count(*) as activities
from marts.activities
where start_at < $day
group by cast(start_at as date)
order by day
