-- Stories come from marts.story_publications, where all sources of them are one.
select
    month,
    'medium' as source,
    kind,
    record_key,
    lake_file,
    published_at as start_at,
    coalesce(nullif(trim(title), ''), 'Response') as title,
    url as address,
    body_text as text
from {{ ref('stg_medium__account_export') }}
where kind = 'response' and published_at is not null
