-- The last 24 months of engagement over all stories, oldest first. The last may be unfinished.
select
    cast(month as date) as month,
    cast(views as bigint) as views,
    cast(reads as bigint) as reads,
    cast(read_ratio as double) as read_ratio,
    cast(earnings as decimal(18, 3)) as earnings,
    cast(stories_published as bigint) as stories_published,
    cast(stories_boosted as bigint) as stories_boosted,
    cast(boosted_share as double) as boosted_share,
    cast(followers_gained as bigint) as followers_gained,
    cast(subscribers_gained as bigint) as subscribers_gained
from marts.engagement_monthly
where month < $day
qualify row_number() over (order by month desc) <= 24
order by month
