select
    month,
    day,
    key as record_key,
    lake_file,
    cast(try_cast(record ->> 'cents' as bigint) * 0.01 as decimal(18, 2)) as price
from {{ lake_days('wholesale', 'prices') }}
where {{ partition_window('month') }}
