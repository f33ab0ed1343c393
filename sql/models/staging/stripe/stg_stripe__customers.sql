with records as (
    select * from {{ lake_days('stripe', 'customers') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        day,
        key as record_key,
        lake_file,
        record ->> 'id' as customer_id,
        {{ utc_from_epoch("record ->> 'created'") }} as created_at,
        record ->> 'name' as name,
        record ->> 'email' as email,
        record ->> 'description' as description,
        record ->> '$.address.country' as country,
        try_cast(record ->> 'delinquent' as boolean) as delinquent,
        try_cast(record ->> 'livemode' as boolean) as livemode,
        lower(record ->> 'currency') as currency,
        try_cast(record ->> 'balance' as bigint) as balance_minor
    from records
)

select
    *,
    {{ minor_to_major('balance_minor', 'currency') }} as balance
from typed
