with records as (
    select * from {{ lake_days('stripe', 'charges') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        day,
        key as record_key,
        lake_file,
        record ->> 'id' as charge_id,
        {{ utc_from_epoch("record ->> 'created'") }} as created_at,
        record ->> 'status' as status,
        try_cast(record ->> 'paid' as boolean) as paid,
        try_cast(record ->> 'captured' as boolean) as captured,
        try_cast(record ->> 'refunded' as boolean) as refunded,
        try_cast(record ->> 'disputed' as boolean) as disputed,
        {{ reference('customer') }} as customer_id,
        {{ reference('balance_transaction') }} as balance_transaction_id,
        {{ reference('payment_intent') }} as payment_intent_id,
        record ->> 'description' as description,
        record ->> 'failure_code' as failure_code,
        record ->> '$.billing_details.address.country' as billing_country,
        record ->> '$.payment_method_details.type' as payment_method_type,
        record ->> '$.payment_method_details.card.brand' as card_brand,
        try_cast(record ->> 'livemode' as boolean) as livemode,
        lower(record ->> 'currency') as currency,
        try_cast(record ->> 'amount' as bigint) as amount_minor,
        try_cast(record ->> 'amount_captured' as bigint) as amount_captured_minor,
        try_cast(record ->> 'amount_refunded' as bigint) as amount_refunded_minor
    from records
)

select
    *,
    {{ minor_to_major('amount_minor', 'currency') }} as amount,
    {{ minor_to_major('amount_captured_minor', 'currency') }} as amount_captured,
    {{ minor_to_major('amount_refunded_minor', 'currency') }} as amount_refunded
from typed
