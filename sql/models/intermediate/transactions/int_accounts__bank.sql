select
    month,
    'bank' as source,
    record_key,
    lake_file,
    account_reference,
    feed,
    kind,
    bank,
    number_digest,
    is_whole,
    last4,
    name,
    title,
    told_by,
    folder,
    currency
from {{ ref('stg_bank__accounts') }}
