select
    month,
    'stays' as source,
    record_key,
    lake_file,
    place,
    zone,
    start_at,
    end_at
from {{ ref('stg_stays__stays') }}
where zone is not null and start_at is not null
