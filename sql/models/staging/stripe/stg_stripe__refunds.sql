with records as (
    select * from {{ lake_days('stripe', 'refunds') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        day,
        key as record_key,
        lake_file,
        record ->> 'id' as refund_id,
        {{ utc_from_epoch("record ->> 'created'") }} as created_at,
        record ->> 'status' as status,
        record ->> 'reason' as reason,
        {{ reference('charge') }} as charge_id,
        {{ reference('payment_intent') }} as payment_intent_id,
        {{ reference('balance_transaction') }} as balance_transaction_id,
        lower(record ->> 'currency') as currency,
        try_cast(record ->> 'amount' as bigint) as amount_minor
    from records
)

select
    *,
    {{ minor_to_major('amount_minor', 'currency') }} as amount
from typed
