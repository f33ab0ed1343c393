select
    month,
    'medium' as source,
    record_key,
    lake_file,
    post_id as story_id,
    kind,
    title,
    url,
    'https://medium.com/p/' || post_id as permanent_url,
    published_at,
    body_text as text
from {{ ref('stg_medium__account_export') }}
