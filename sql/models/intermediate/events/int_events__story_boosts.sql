select
    month,
    source,
    'boost' as kind,
    story_id as record_key,
    boosted_on as day,
    'Boosted: ' || coalesce(title, 'a story') as title,
    url as address
from {{ ref('story_boosts') }}
