select
    month,
    'bank' as source,
    record_key,
    lake_file,
    account_reference,
    feed,
    kind,
    day,
    balance,
    currency
from {{ ref('stg_bank__balances') }}
where kind in ('ledger', 'running') and balance is not null
