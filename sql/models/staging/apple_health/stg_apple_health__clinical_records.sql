with records as (
    select * from {{ lake('apple_health', 'clinical_records') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record ->> '$.type' as kind,
    record ->> '$.identifier' as identifier,
    record ->> '$.sourceName' as source_name,
    {{ utc_from_text("record ->> '$.receivedDate'") }} as received_at,
    record ->> '$.fhirVersion' as fhir_version,
    record ->> '$.resource' as resource
from records
