with records as (
    select * from {{ lake_days('stripe', 'payouts') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        day,
        key as record_key,
        lake_file,
        record ->> 'id' as payout_id,
        {{ utc_from_epoch("record ->> 'created'") }} as created_at,
        {{ utc_from_epoch("record ->> 'arrival_date'") }} as arrives_at,
        record ->> 'status' as status,
        record ->> 'method' as method,
        record ->> 'type' as type,
        try_cast(record ->> 'automatic' as boolean) as automatic,
        record ->> 'description' as description,
        record ->> 'failure_code' as failure_code,
        record ->> 'failure_message' as failure_message,
        {{ reference('balance_transaction') }} as balance_transaction_id,
        {{ reference('failure_balance_transaction') }} as failure_balance_transaction_id,
        try_cast(record ->> 'livemode' as boolean) as livemode,
        lower(record ->> 'currency') as currency,
        try_cast(record ->> 'amount' as bigint) as amount_minor
    from records
)

select
    *,
    {{ minor_to_major('amount_minor', 'currency') }} as amount
from typed
