-- what the newest look at the sheet says
select
    day,
    'google_sheets' as source,
    record_key,
    lake_file,
    story_id,
    title,
    boosted,
    boosted_on
from {{ ref('stg_google_sheets__story_flags') }}
where day = (select max(day) from {{ ref('stg_google_sheets__story_flags') }})
