with records as (
    select * from {{ lake_days('google_sheets', 'story_flags') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    -- the key is the story's id wherever the row told it, and otherwise the title
    case when regexp_full_match(key, '[0-9a-f]{10,12}') then key end as story_id,
    coalesce(nullif(trim(record ->> 'url'), ''), nullif(trim(record ->> 'link'), '')) as url,
    coalesce(
        nullif(trim(record ->> 'title'), ''),
        case when not regexp_full_match(key, '[0-9a-f]{10,12}') then key end
    ) as title,
    coalesce(
        lower(trim(record ->> 'boosted')) in ('true', 'yes', 'y', '1', 'x', '✓'), false
    ) as boosted,
    -- the sheet shows dates in its own locale: ISO, with dots, or month first
    cast(
        try_strptime(
            trim(coalesce(record ->> 'boosted_date', record ->> 'boosted_on')),
            ['%Y-%m-%d', '%Y/%m/%d', '%d.%m.%Y', '%m/%d/%Y', '%B %d, %Y', '%b %d, %Y', '%d %B %Y']
        ) as date
    ) as boosted_on,
    nullif(trim(record ->> 'notes'), '') as notes,
    json_merge_patch(
        record,
        '{
            "url": null, "link": null, "story_id": null, "post_id": null, "title": null,
            "boosted": null, "boosted_date": null, "boosted_on": null, "notes": null
        }'
    ) as other_columns
from records
