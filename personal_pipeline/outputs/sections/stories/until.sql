-- The most recent day covered by story statistics.
select max(cast(day as date)) as day
from marts.story_stats_daily
where day < $day and views is not null
