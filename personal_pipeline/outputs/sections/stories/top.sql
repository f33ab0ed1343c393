-- The ten stories with most views in the 28 days up to the most recent day covered by story
-- statistics, with the 28 days before for comparison.
with newest as (
    select max(day) as day
    from marts.story_stats_daily
    where day < $day and views is not null
),

sums as (
    select
        daily.story_id,
        sum(daily.views) filter (where daily.day > newest.day - 28) as views,
        sum(daily.views) filter (where daily.day <= newest.day - 28) as views_before
    from marts.story_stats_daily as daily
    cross join newest
    where daily.day > newest.day - 56 and daily.day <= newest.day
    group by daily.story_id
)

select
    sums.story_id,
    coalesce(nullif(trim(stories.title), ''), sums.story_id) as title,
    stories.url,
    cast(sums.views as bigint) as views,
    cast(sums.views_before as bigint) as views_before,
    cast(stories.read_ratio as double) as read_ratio,
    coalesce(stories.boosted, false) as boosted
from sums
left join marts.story_stats as stories on stories.story_id = sums.story_id
where sums.views > 0
order by sums.views desc, sums.story_id
limit 10
