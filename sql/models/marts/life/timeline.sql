-- What is known to the second gets its local day here; what a source or a mart files under a day
-- has it already.
with told as (
    select *
    from {{ ref('int_events') }}
    where {{ partition_window('month') }}
),

instants as (
    select * exclude (day, zone_origin, local_at), null::integer as utc_offset_seconds
    from told
    where day is null and start_at is not null
),

placed as (
    select * exclude (stay, place), coalesce(place, stay) as place
    from {{ lived('instants') }}
    union all by name
    select * exclude (day, zone_origin), day as local_day, coalesce(zone_origin, 'day') as zone_origin
    from told
    where day is not null
)

select
    month,
    source || ':' || kind || ':' || record_key as event_id,
    source,
    kind,
    start_at,
    end_at,
    zone,
    zone_origin,
    local_at,
    local_day,
    title,
    nullif(detail, '') as detail,
    address,
    people,
    place,
    cast(amount as decimal(18, 2)) as amount,
    upper(currency) as currency,
    text,
    coalesce(by_others, false) as by_others,
    lake_file || '#' || coalesce(raw_key, record_key) as reference
from placed
