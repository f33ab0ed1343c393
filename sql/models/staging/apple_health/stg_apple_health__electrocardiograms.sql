with records as (
    select * from {{ lake('apple_health', 'electrocardiograms') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    record -> '$.header' as header,
    length(record ->> '$.voltages') - length(replace(record ->> '$.voltages', ' ', '')) + 1
        as samples,
    record ->> '$.voltages' as voltages
from records
