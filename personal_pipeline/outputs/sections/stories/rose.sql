-- The story whose views on `$on` were furthest above its mean of the four weeks before.
with days as (
    select
        story_id,
        coalesce(sum(views) filter (where day = $on), 0) as views,
        coalesce(sum(views) filter (where day < $on), 0) / 28 as usual
    from marts.story_stats_daily
    where day <= $on and day > cast($on as date) - 29 and day < $day
    group by story_id
)

select
    coalesce(nullif(trim(stories.title), ''), days.story_id) as title,
    cast(days.views as bigint) as views,
    cast(stories.published_at as date) as published_on
from days
left join marts.story_stats as stories on stories.story_id = days.story_id
where days.views > days.usual
order by days.views - days.usual desc, days.story_id
limit 1
