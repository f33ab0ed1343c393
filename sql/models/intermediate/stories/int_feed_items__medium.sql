select
    day,
    'medium' as source,
    record_key,
    lake_file,
    story_id,
    kind,
    title,
    url,
    'https://medium.com/p/' || story_id as permanent_url,
    published_at
from {{ ref('stg_medium__feed') }}
