select
    month,
    source,
    'transaction' as kind,
    transaction_id as record_key,
    lake_file,
    record_key as raw_key,
    posted_on as day,
    coalesce(nullif(trim(description), ''), nullif(trim(memo), ''), kind) as title,
    concat_ws(' · ', account, category) as detail,
    amount,
    nullif(currency, 'unknown') as currency,
    true as by_others
from {{ ref('transactions') }}
