with items as (
    select
        month,
        key,
        lake_file,
        record ->> 'id' as delivery_number,
        unnest(record -> '$.items[*]') as item
    from {{ lake_days('till', 'deliveries') }}
    where {{ partition_window('month') }}
)

select
    month,
    concat_ws(' ', key, item ->> 'product') as record_key,
    lake_file,
    try_cast(delivery_number as bigint) as delivery_number,
    item ->> 'product' as product,
    try_cast(item ->> 'pieces' as bigint) as pieces
from items
