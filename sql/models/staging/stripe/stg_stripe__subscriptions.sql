with records as (
    select
        *,
        -- on the subscription until 2025-03-31.basil, on its items since
        coalesce(
            record ->> 'current_period_start', record ->> '$.items.data[0].current_period_start'
        ) as current_period_start,
        coalesce(
            record ->> 'current_period_end', record ->> '$.items.data[0].current_period_end'
        ) as current_period_end
    from {{ lake_days('stripe', 'subscriptions') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    record ->> 'id' as subscription_id,
    {{ subscription_columns() }},
    {{ utc_from_epoch("record ->> 'trial_start'") }} as trial_starts_at,
    {{ utc_from_epoch("record ->> 'trial_end'") }} as trial_ends_at,
    {{ utc_from_epoch("record ->> 'cancel_at'") }} as cancels_at,
    try_cast(record ->> 'cancel_at_period_end' as boolean) as cancels_at_period_end,
    {{ utc_from_epoch("record ->> 'canceled_at'") }} as canceled_at,
    {{ utc_from_epoch("record ->> 'ended_at'") }} as ended_at,
    record ->> '$.cancellation_details.reason' as cancellation_reason,
    {{ utc_from_epoch('current_period_start') }} as current_period_starts_at,
    {{ utc_from_epoch('current_period_end') }} as current_period_ends_at,
    record ->> 'collection_method' as collection_method,
    cast(json_array_length(record, '$.items.data') as integer) as item_count,
    try_cast(record ->> 'livemode' as boolean) as livemode
from records
