with stories as (
    select
        day,
        sum(views) as views,
        sum(earnings) as earnings,
        bool_and(earnings_final) filter (where earnings is not null) as earnings_final
    from {{ ref('story_stats_daily') }}
    where {{ partition_window('month') }}
    group by day
),

account as (
    select day, viewers, readers
    from {{ ref('int_reader_days') }}
    where {{ partition_window('month') }}
)

select
    {{ month_of('day') }} as month,
    day,
    cast(coalesce(stories.views, account.viewers) as bigint) as views,
    case
        when stories.views is not null then 'stories'
        when account.viewers is not null then 'account'
    end as views_from,
    account.readers,
    cast(stories.earnings as decimal(18, 3)) as earnings,
    stories.earnings_final
from stories
full join account using (day)
