select
    day,
    'kit' as source,
    record_key,
    lake_file,
    broadcast_id,
    subject,
    sent_at
from {{ ref('stg_kit__broadcasts') }}
where sent_at is not null
