with records as (
    select *, record ->> 'id' is null as vanished
    from {{ lake_days('stripe', 'subscription_states') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    -- the key has the time of the look behind it; a record of what is gone is empty
    regexp_extract(key, '^(.*) [^ ]+$', 1) as subscription_id,
    {{ utc_from_text('as_of') }} as seen_at,
    vanished,
    {{ subscription_columns() }},
    {{ utc_from_epoch("record ->> 'trial_end'") }} as trial_ends_at,
    {{ utc_from_epoch("record ->> 'canceled_at'") }} as canceled_at,
    {{ utc_from_epoch("record ->> 'ended_at'") }} as ended_at,
    record ->> '$.pause_collection.behavior' as pause_behavior,
    {{ utc_from_epoch("record ->> '$.pause_collection.resumes_at'") }} as pause_resumes_at,
    cast(json_array_length(record, '$.items.data') as integer) as item_count,
    try_cast(record ->> 'livemode' as boolean) as livemode
from records
