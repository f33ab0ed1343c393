with records as (
    select * from {{ lake_days('till', 'sales') }}
    where {{ partition_window('month') }}
)

select
    month,
    day,
    key as record_key,
    lake_file,
    record ->> 'product' as product,
    record ->> 'payment' as payment,
    try_cast(record ->> 'pieces' as bigint) as pieces,
    cast(try_cast(record ->> 'cents' as bigint) * 0.01 as decimal(18, 2)) as amount
from records
