select
    month,
    'bank' as source,
    record_key,
    lake_file,
    account_id,
    account_name
from {{ ref('stg_bank__categories') }}
where kind = 'account'
