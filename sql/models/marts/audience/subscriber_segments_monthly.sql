select
    month,
    coalesce(segment, 'unknown') as segment,
    count(distinct email) as subscribers
from {{ ref('int_subscriber_segments') }}
where {{ partition_window('month') }}
group by month, coalesce(segment, 'unknown')
