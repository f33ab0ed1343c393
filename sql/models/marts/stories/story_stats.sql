with captures as (
    select
        *,
        -- of one day, the shape that knows most
        row_number() over (partition by story_id order by captured_on desc, shape desc) as age
    from {{ ref('int_story_captures') }}
),

-- the newest figure of each kind: an older shape that is newer lacks some of them
lifetime as (
    select
        story_id,
        arg_min(title, age) as title,
        arg_min(permanent_url, age) as permanent_url,
        arg_min(published_at, age) as published_at,
        arg_min(reading_time_minutes, age) as reading_time_minutes,
        arg_min(member_only, age) as member_only,
        arg_min(presentations, age) as presentations,
        arg_min(views, age) as views,
        arg_min(reads, age) as reads,
        arg_min(earnings, age) as earnings,
        arg_min(earnings_currency, age) filter (where earnings is not null) as earnings_currency,
        max(captured_on) as last_captured_on
    from captures
    group by story_id
),

-- a draft of the export has become a story since when its statistics know a date
not_stories as (
    select exported.story_id
    from {{ ref('int_writings') }} as exported
    left join lifetime using (story_id)
    where
        exported.kind = 'response'
        or (exported.kind = 'draft' and lifetime.published_at is null)
),

stories as (
    select
        story_id,
        coalesce(publications.title, lifetime.title) as title,
        coalesce(publications.url, lifetime.permanent_url) as url,
        coalesce(publications.published_at, lifetime.published_at) as published_at,
        lifetime.reading_time_minutes,
        lifetime.member_only,
        lifetime.presentations,
        lifetime.views,
        lifetime.reads,
        lifetime.earnings,
        lifetime.earnings_currency,
        lifetime.last_captured_on
    from lifetime
    full join {{ ref('story_publications') }} as publications using (story_id)
    anti join not_stories using (story_id)
),

flags as (
    {{ flags_of('stories') }}
)

select
    stories.story_id,
    stories.title,
    stories.url,
    stories.published_at,
    stories.reading_time_minutes,
    stories.member_only,
    stories.presentations,
    stories.views,
    stories.reads,
    stories.reads / nullif(stories.views, 0) as read_ratio,
    stories.earnings,
    stories.earnings_currency,
    coalesce(flags.boosted, false) as boosted,
    flags.boosted_on,
    stories.last_captured_on
from stories
left join flags using (story_id)
