select
    local_at,
    kind,
    source,
    title,
    detail,
    place,
    amount,
    currency,
    zone,
    by_others,
    event_id,
    reference
from timeline
where local_day = $day
order by local_at nulls first, kind, event_id
limit $limit
