select
    {{ month_of('boosted_on') }} as month,
    story_id,
    title,
    url,
    boosted_on,
    flagged_by as source
from {{ ref('story_publications') }}
where boosted and boosted_on is not null and {{ partition_window(month_of('boosted_on')) }}
