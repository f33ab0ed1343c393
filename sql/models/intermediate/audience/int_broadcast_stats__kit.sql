select
    day,
    'kit' as source,
    record_key,
    lake_file,
    broadcast_id,
    recipients,
    open_rate,
    click_rate,
    unsubscribes,
    total_clicks
from {{ ref('stg_kit__broadcast_stats') }}
