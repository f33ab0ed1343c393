with records as (
    select * from {{ lake('medium', 'account_profile') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    cast(record ->> 'captured_on' as date) as captured_on,
    record ->> 'username' as username,
    record ->> 'display_name' as display_name,
    record ->> 'email_address' as email_address,
    record ->> 'medium_user_id' as medium_user_id,
    -- as the page shows it: its zone is unknown, so it is no time
    record ->> 'created_at' as created_at_text,
    record ->> 'membership' as membership,
    record -> 'fields' as fields,
    record -> 'files' as files
from records
