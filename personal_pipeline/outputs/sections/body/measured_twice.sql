-- What was left out in the most recent 28 days because another source measured the same and counts.
with newest as (select max(day) as day from marts.health_daily where day < $day)

select
    metric,
    source_name as source,
    counted_source,
    count(*) as days,
    sum(left_out) as left_out,
    coalesce(min(unit), '') as unit
from marts.health_overlaps
where
    day <= (select day from newest)
    and day > (select day from newest) - interval 28 day
    and source_name != counted_source
group by metric, source_name, counted_source
order by metric, days desc, source, counted_source
