select
    month,
    coalesce(segment, 'unknown') as segment,
    count(distinct email) as subscribers
from {{ ref('stg_kit__subscriber_export') }}
where {{ partition_window('month') }}
group by month, coalesce(segment, 'unknown')
