with records as (
    select * from {{ lake('medium', 'account_export') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'post_id' as post_id,
    record ->> 'kind' as kind,
    record ->> 'title' as title,
    record ->> 'subtitle' as subtitle,
    {{ utc_from_text("record ->> 'published_at'") }} as published_at,
    record ->> 'author' as author,
    record ->> '$.tags[*]' as tags,
    record ->> 'canonical_url' as url,
    try_cast(record ->> 'word_count' as bigint) as word_count,
    try_cast(record ->> 'image_count' as bigint) as image_count,
    record ->> 'body_text' as body_text,
    record ->> 'file' as file
from records
