-- Boosted stories and the others, over their whole lives; one row each, boosted first.
select
    coalesce(boosted, false) as boosted,
    count(*) as stories,
    median(cast(views as double)) as median_views,
    avg(cast(views as double)) as mean_views,
    sum(reads) / nullif(sum(views) filter (where reads is not null), 0) as read_ratio,
    cast(median(cast(earnings as double)) as decimal(18, 3)) as median_earnings,
    cast(sum(earnings) as decimal(18, 3)) as earnings
from marts.story_stats
where views is not null and (published_at is null or cast(published_at as date) < $day)
group by coalesce(boosted, false)
order by coalesce(boosted, false) desc
