with records as (
    select * from {{ lake('kit', 'subscriber_export') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    lower(trim(key)) as email,
    record ->> 'first_name' as first_name,
    record ->> 'export_segment' as segment,
    {{ utc_from_text("regexp_replace(trim(record ->> 'created_at'), ' UTC$', 'Z')") }} as joined_at,
    record ->> 'tags' as tags,
    json_merge_patch(
        record,
        '{
            "email": null, "email_address": null, "first_name": null, "created_at": null,
            "tags": null, "export_segment": null
        }'
    ) as other_columns
from records
