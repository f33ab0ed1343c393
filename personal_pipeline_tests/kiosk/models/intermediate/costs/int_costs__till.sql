select
    month,
    'till' as source,
    record_key,
    lake_file,
    day,
    'goods' as kind,
    supplier,
    cost
from {{ ref('stg_till__deliveries') }}
