with records as (
    select * from {{ lake_days('stripe', 'balance_transactions') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        day,
        key as record_key,
        lake_file,
        record ->> 'id' as balance_transaction_id,
        {{ utc_from_epoch("record ->> 'created'") }} as created_at,
        {{ utc_from_epoch("record ->> 'available_on'") }} as available_at,
        record ->> 'type' as type,
        record ->> 'reporting_category' as reporting_category,
        {{ reference('source') }} as source_id,
        record ->> 'status' as status,
        record ->> 'description' as description,
        lower(record ->> 'currency') as currency,
        try_cast(record ->> 'amount' as bigint) as amount_minor,
        try_cast(record ->> 'fee' as bigint) as fee_minor,
        try_cast(record ->> 'net' as bigint) as net_minor,
        try_cast(record ->> 'exchange_rate' as double) as exchange_rate
    from records
)

select
    *,
    {{ minor_to_major('amount_minor', 'currency') }} as amount,
    {{ minor_to_major('fee_minor', 'currency') }} as fee,
    {{ minor_to_major('net_minor', 'currency') }} as net
from typed
