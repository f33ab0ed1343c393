with captures as (
    select
        *,
        -- of one day, the shape that knows most
        row_number() over (partition by story_id order by captured_on desc, shape desc) as age
    from {{ ref('int_story_captures') }}
),

lifetime as (
    select
        story_id,
        arg_min(title, age) as title,
        arg_min(permanent_url, age) as permanent_url,
        arg_min(published_at, age) as published_at,
        arg_min(reading_time_minutes, age) as reading_time_minutes,
        arg_min(member_only, age) as member_only,
        min(source) as source
    from captures
    group by story_id
),

exported as (
    select story_id, source, kind, title, url, permanent_url, published_at
    from {{ ref('int_writings') }}
),

-- a story whose date moved is still filed under its old day, too
feed as (
    select story_id, source, kind, title, url, permanent_url, published_at
    from {{ ref('int_feed_items') }}
    qualify row_number() over (partition by story_id order by day desc) = 1
),

-- an item of the feed without tags may be a response: it counts when another source knows it
stories as (
    select story_id from lifetime
    union
    select story_id from exported
    where kind = 'story'
    union
    select story_id from feed
    where kind = 'story'
    except
    select story_id from exported
    where kind = 'response'
),

known as (
    select
        stories.story_id,
        coalesce(lifetime.title, exported.title, feed.title) as title,
        coalesce(
            exported.url,
            feed.url,
            lifetime.permanent_url,
            exported.permanent_url,
            feed.permanent_url
        ) as url,
        coalesce(
            lifetime.published_at, exported.published_at, feed.published_at
        ) as published_at,
        lifetime.reading_time_minutes,
        lifetime.member_only,
        coalesce(lifetime.source, exported.source, feed.source) as source
    from stories
    left join lifetime using (story_id)
    left join exported using (story_id)
    left join feed using (story_id)
),

dated as (
    select
        *,
        cast(published_at as date) as published_on,
        {{ month_of('published_at') }} as month
    from known
    where published_at is not null
),

flags as (
    {{ flags_of('dated') }}
)

select
    dated.month,
    dated.story_id,
    dated.title,
    dated.url,
    dated.published_at,
    dated.published_on,
    dated.reading_time_minutes,
    dated.member_only,
    coalesce(flags.boosted, false) as boosted,
    flags.boosted_on,
    flags.flagged_by,
    dated.source
from dated
left join flags using (story_id)
where {{ partition_window('dated.month') }}
