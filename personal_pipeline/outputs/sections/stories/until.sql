-- The newest day that story statistics tell about.
select max(cast(day as date)) as day
from marts.story_stats_daily
where day < $day and views is not null
