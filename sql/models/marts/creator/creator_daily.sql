with engagement as (
    select day, views, earnings
    from {{ ref('engagement_daily') }}
    where {{ partition_window('day') }}
),

publications as (
    select published_on as day, count(*) as stories_published
    from {{ ref('story_publications') }}
    where {{ partition_window('published_on') }}
    group by published_on
),

broadcasts as (
    select day, count(*) as broadcasts_sent
    from {{ ref('int_broadcasts') }}
    where cast(sent_at as date) = day and {{ partition_window('day') }}
    group by day
),

subscribers as (
    select day, active, new, cancelled, net
    from {{ ref('subscribers_daily') }}
    where {{ partition_window('day') }}
),

revenue as (
    select
        day,
        sum(gross) filter (where currency = {{ home_currency() }}) as gross,
        sum(net) filter (where currency = {{ home_currency() }}) as net,
        count(*) filter (where currency <> {{ home_currency() }}) as other_currencies
    from {{ ref('revenue_daily') }}
    where {{ partition_window('day') }}
    group by day
)

select
    day,
    engagement.views,
    engagement.earnings as medium_earnings,
    coalesce(publications.stories_published, 0) as stories_published,
    coalesce(broadcasts.broadcasts_sent, 0) as broadcasts_sent,
    subscribers.active as subscribers_active,
    subscribers.new as subscribers_new,
    subscribers.cancelled as subscribers_cancelled,
    subscribers.net as subscribers_net,
    cast(coalesce(revenue.gross, 0) as decimal(18, 3)) as revenue_gross,
    cast(coalesce(revenue.net, 0) as decimal(18, 3)) as revenue_net,
    {{ home_currency() }} as currency,
    coalesce(revenue.other_currencies, 0) as revenue_other_currencies
from engagement
full join publications using (day)
full join broadcasts using (day)
full join subscribers using (day)
full join revenue using (day)
