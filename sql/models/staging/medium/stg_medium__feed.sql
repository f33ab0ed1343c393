with records as (
    select * from {{ lake_days('medium', 'feed') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    record ->> 'story_id' as story_id,
    record ->> 'kind' as kind,
    record ->> 'title' as title,
    record ->> 'link' as url,
    {{ utc_from_text("record ->> 'published'") }} as published_at,
    {{ utc_from_text("record ->> 'updated'") }} as updated_at,
    record ->> 'creator' as author,
    record ->> '$.categories[*]' as tags,
    record ->> 'content' as content_html
from records
