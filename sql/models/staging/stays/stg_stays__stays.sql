with records as (
    select * from {{ lake('stays', 'stays') }}
    where {{ partition_window('month') }}
),

typed as (
    select
        month,
        key as record_key,
        lake_file,
        record ->> 'place' as place,
        {{ known_timezone("record ->> 'zone'") }} as zone,
        try_cast(record ->> 'from' as timestamp) as begins,
        try_cast(record ->> 'to' as timestamp) as ends,
        -- a day is a day to its end
        length(record ->> 'to') = 10 as is_whole_day
    from records
)

select
    month,
    record_key,
    lake_file,
    place,
    zone,
    timezone('UTC', timezone(zone, begins)) as start_at,
    timezone('UTC', timezone(zone, if(is_whole_day, ends + interval 1 day, ends))) as end_at
from typed
