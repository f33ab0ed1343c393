select
    stories.month,
    stories.source,
    'story' as kind,
    stories.story_id as record_key,
    texts.lake_file,
    texts.record_key as raw_key,
    stories.published_at as start_at,
    coalesce(stories.title, 'Story') as title,
    if(
        stories.reading_time_minutes is null, null, stories.reading_time_minutes || ' min read'
    ) as detail,
    stories.url as address,
    texts.text
from {{ ref('story_publications') }} as stories
left join {{ ref('int_writings') }} as texts
    on texts.story_id = stories.story_id and texts.month = stories.month
