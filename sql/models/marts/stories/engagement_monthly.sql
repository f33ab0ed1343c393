with daily as (
    select
        month,
        sum(views) as views,
        sum(readers) as readers,
        sum(earnings) as earnings
    from {{ ref('engagement_daily') }}
    where {{ partition_window('month') }}
    group by month
),

publications as (
    select
        month,
        count(*) as stories_published,
        count(*) filter (where boosted) as stories_boosted
    from {{ ref('story_publications') }}
    where {{ partition_window('month') }}
    group by month
),

responses as (
    select story_id
    from {{ ref('int_writings') }}
    where kind = 'response'
),

-- the last capture of each month that knows reads
captures as (
    select month, story_id, reads, published_at
    from {{ ref('int_story_captures') }}
    anti join responses using (story_id)
    where reads is not null
    qualify row_number() over (
        partition by story_id, month order by captured_on desc, shape desc
    ) = 1
),

gains as (
    select
        month,
        case
            when lag(reads) over by_story is not null
                -- Medium revises counts downwards, too
                then greatest(reads - lag(reads) over by_story, 0)
            -- all reads of a story that came out in this month fell into it
            when {{ month_of('published_at') }} = month then reads
        end as reads
    from captures
    window by_story as (partition by story_id order by month)
),

lifetime as (
    select month, sum(reads) as reads
    from gains
    where {{ partition_window('month') }}
    group by month
    having sum(reads) is not null
),

account as (
    select month, followers_gained, subscribers_gained
    from {{ ref('int_reader_months') }}
    where {{ partition_window('month') }}
),

joined as (
    select
        month,
        cast(daily.views as bigint) as views,
        cast(coalesce(daily.readers, lifetime.reads) as bigint) as reads,
        case
            when daily.readers is not null then 'account'
            when lifetime.reads is not null then 'lifetime'
        end as reads_from,
        cast(daily.earnings as decimal(18, 3)) as earnings,
        coalesce(publications.stories_published, 0) as stories_published,
        coalesce(publications.stories_boosted, 0) as stories_boosted,
        account.followers_gained,
        account.subscribers_gained
    from daily
    full join publications using (month)
    full join lifetime using (month)
    full join account using (month)
)

select
    month,
    views,
    reads,
    reads_from,
    reads / nullif(views, 0) as read_ratio,
    earnings,
    stories_published,
    stories_boosted,
    stories_boosted / nullif(stories_published, 0) as boosted_share,
    followers_gained,
    subscribers_gained
from joined
