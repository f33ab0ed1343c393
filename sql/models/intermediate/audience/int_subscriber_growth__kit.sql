select
    day,
    'kit' as source,
    record_key,
    lake_file,
    subscribers,
    new_subscribers,
    cancellations,
    net_new_subscribers
from {{ ref('stg_kit__growth_stats') }}
