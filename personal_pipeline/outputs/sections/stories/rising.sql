-- The stories that gained most views in the last 7 days compared with the 7 before; the days end
-- with the most recent one covered by story statistics. `trend` has the views of the last 28 days,
-- oldest first, with zero for a day without a row.
with newest as (
    select max(day) as day
    from marts.story_stats_daily
    where day < $day and views is not null
),

sums as (
    select
        daily.story_id,
        coalesce(sum(daily.views) filter (where daily.day > newest.day - 7), 0) as views,
        coalesce(sum(daily.views) filter (where daily.day <= newest.day - 7), 0) as views_before
    from marts.story_stats_daily as daily
    cross join newest
    where daily.day > newest.day - 14 and daily.day <= newest.day
    group by daily.story_id
),

rising as (
    select *
    from sums
    where views > views_before
    order by views - views_before desc, story_id
    limit 5
),

trends as (
    select
        rising.story_id,
        list(cast(coalesce(daily.views, 0) as bigint) order by days.day) as trend
    from rising
    cross join newest
    cross join unnest(range(newest.day - 27, newest.day + 1, interval 1 day)) as days (day)
    left join marts.story_stats_daily as daily
        on daily.story_id = rising.story_id and daily.day = cast(days.day as date)
    group by rising.story_id
)

select
    rising.story_id,
    coalesce(nullif(trim(stories.title), ''), rising.story_id) as title,
    stories.url,
    cast(rising.views as bigint) as views,
    cast(rising.views_before as bigint) as views_before,
    coalesce(stories.boosted, false) as boosted,
    trends.trend
from rising
inner join trends on trends.story_id = rising.story_id
left join marts.story_stats as stories on stories.story_id = rising.story_id
order by rising.views - rising.views_before desc, rising.story_id
