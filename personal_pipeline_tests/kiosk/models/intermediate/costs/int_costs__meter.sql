select
    month,
    'meter' as source,
    record_key,
    lake_file,
    day,
    'electricity' as kind,
    cast(kwh * 0.3 as decimal(18, 2)) as cost
from {{ ref('stg_meter__readings') }}
