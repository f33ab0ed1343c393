with records as (
    select * from {{ lake_days('kit', 'broadcasts') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        day,
        key as record_key,
        lake_file,
        record ->> 'id' as broadcast_id,
        record ->> 'subject' as subject,
        record ->> 'preview_text' as preview_text,
        record ->> 'description' as description,
        record ->> 'status' as status,
        try_cast(record ->> 'public' as boolean) as is_public,
        record ->> 'public_url' as public_url,
        {{ utc_from_text("record ->> 'created_at'") }} as created_at,
        {{ utc_from_text("record ->> 'send_at'") }} as send_at,
        {{ utc_from_text("record ->> 'published_at'") }} as published_at
    from records
)

select
    *,
    case
        when coalesce(status, '') not in ('draft', 'scheduled') then coalesce(send_at, published_at)
    end as sent_at
from typed
