select
    month,
    'bank' as source,
    record_key,
    lake_file,
    position,
    category,
    words,
    is_transfer
from {{ ref('stg_bank__categories') }}
where kind = 'rule'
