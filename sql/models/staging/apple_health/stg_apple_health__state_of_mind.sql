with records as (
    select * from {{ lake('apple_health', 'state_of_mind') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> '$.sourceName' as source_name,
    {{ utc_from_text("record ->> '$.startDate'") }} as start_at,
    {{ utc_from_text("record ->> '$.endDate'") }} as end_at,
    record ->> '$.kindOfEntry' as kind,
    try_cast(record ->> '$.valence' as double) as valence,
    record ->> '$.valenceClassification' as valence_classification,
    record as entry
from records
