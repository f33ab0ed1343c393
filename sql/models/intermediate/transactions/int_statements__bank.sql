select
    month,
    'bank' as source,
    record_key,
    lake_file,
    account_reference,
    starts_on,
    ends_on,
    made_at,
    transaction_keys
from {{ ref('stg_bank__statements') }}
