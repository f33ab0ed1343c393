with records as (
    select * from {{ lake_days('till', 'deliveries') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    try_cast(record ->> 'id' as bigint) as delivery_number,
    record ->> 'supplier' as supplier,
    cast(try_cast(record ->> 'cents' as bigint) * 0.01 as decimal(18, 2)) as cost
from records
