select
    month,
    'kit' as source,
    record_key,
    lake_file,
    email,
    segment
from {{ ref('stg_kit__subscriber_export') }}
