with records as (
    select * from {{ lake('medium', 'story_referrers') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> 'story_id' as story_id,
    cast(record ->> 'captured_on' as date) as captured_on,
    record ->> 'referrer' as referrer,
    record ->> '$.entry.type' as type,
    record ->> '$.entry.sourceIdentifier' as source_identifier,
    record ->> '$.entry.site.href' as site_url,
    record ->> '$.entry.site.title' as site_title,
    record ->> '$.entry.search.domain' as search_domain,
    record ->> '$.entry.search.keywords' as search_keywords,
    record ->> '$.entry.platform' as platform,
    record ->> '$.entry.internal.postId' as internal_story_id,
    try_cast(record ->> '$.entry.totalCount' as bigint) as views
from records
