with records as (
    select * from {{ lake('meter', 'readings') }}
    where {{ partition_window('month') }}
)

select
    month,
    key as record_key,
    lake_file,
    try_cast(record ->> 'Day' as date) as day,
    try_cast(record ->> 'kWh' as decimal(18, 3)) as kwh
from records
