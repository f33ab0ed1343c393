with records as (
    select * from {{ lake('apple_health', 'correlations') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    replace(record ->> '$.type', 'HKCorrelationTypeIdentifier', '') as kind,
    record ->> '$.sourceName' as source_name,
    {{ utc_from_text("record ->> '$.startDate'") }} as start_at,
    {{ utc_from_text("record ->> '$.endDate'") }} as end_at,
    record -> '$.metadata' as metadata,
    coalesce(record -> '$.records', '[]') as members
from records
