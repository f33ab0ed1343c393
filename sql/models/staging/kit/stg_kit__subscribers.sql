with records as (
    select * from {{ lake_days('kit', 'subscribers') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    record ->> 'id' as subscriber_id,
    record ->> 'email_address' as email,
    record ->> 'first_name' as first_name,
    record ->> 'state' as state,
    {{ utc_from_text("record ->> 'created_at'") }} as created_at,
    {{ utc_from_text("record ->> 'updated_at'") }} as updated_at,
    {{ utc_from_text("record ->> 'canceled_at'") }} as canceled_at,
    record -> 'fields' as custom_fields
from records
