{% set columns = {
    'type': 'varchar', 'sourceName': 'varchar', 'sourceVersion': 'varchar', 'device': 'varchar',
    'unit': 'varchar', 'value': 'varchar', 'start_at': 'timestamp', 'end_at': 'timestamp',
    'created_at': 'timestamp', 'metadata': 'varchar', 'more': 'varchar', 'offsets': 'varchar'
} -%}
with records as (
    select * from {{ lake_table('apple_health', 'records', columns) }}
    where {{ partition_window('month') }}
)

select
    month,
    -- what identifies a row of the lake, in a few bytes
    md5(concat_ws(
        chr(31), type, start_at, sourceName, coalesce(cast(end_at as varchar), ''),
        coalesce(unit, ''), coalesce("value", '')
    )) as record_key,
    lake_file,
    regexp_replace(type, '^HK(Quantity|Category|Correlation)?(TypeIdentifier|DataType)', '')
        as measure,
    sourceName as source_name,
    sourceVersion as source_version,
    device,
    coalesce(metadata ->> '$.HKWasUserEntered' = '1', false) as is_user_entered,
    "value",
    unit,
    {{ health_quantity('"value"', 'unit') }} as quantity,
    {{ health_unit('unit') }} as quantity_unit,
    start_at,
    coalesce(end_at, start_at) as end_at,
    created_at,
    {{ known_timezone("metadata ->> '$.HKTimeZone'") }} as timezone,
    offsets,
    cast(metadata as json) as metadata,
    cast(more as json) as more
from records
