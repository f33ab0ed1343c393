select
    month,
    'medium' as source,
    record_key,
    lake_file,
    day,
    viewers,
    readers
from {{ ref('stg_medium__account_stats_daily') }}
