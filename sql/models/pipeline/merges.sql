-- A kind of record that several files tell of adds its own part here.
select
    'transaction' as entity,
    record_key,
    lake_file,
    transaction_id as merged_into,
    rule,
    reason
from {{ ref('transaction_merges') }}
where rule not in ('stands', 'open')
union all
select
    'activity' as entity,
    record as record_key,
    lake_file,
    activity_id as merged_into,
    rule,
    reason
from {{ ref('activity_merges') }}
where rule <> 'stands'
