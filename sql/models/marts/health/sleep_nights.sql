-- A sleep is what lies together without three hours in between, whatever measured it. It belongs to
-- the local day on which one wakes: one that began before the month may belong into it, and by UTC
-- it may end before or after it.
with told as (
    select *, null::integer as utc_offset_seconds
    from {{ ref('int_sleep_stages') }}
    where
        {{ partition_window('month') }}
        or {{ partition_window("cast(month + interval 1 month as date)") }}
        or {{ partition_window("cast(month - interval 1 month as date)") }}
),

stages as (
    select *, source || '/' || record_key as stage_key
    from {{ lived('told', 'end_at') }}
),

flagged as (
    select
        *,
        coalesce(
            start_at > interval 3 hours + max(end_at) over (
                order by start_at, end_at, stage_key
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as begins
    from stages
),

numbered as (
    select
        *,
        sum(begins::integer) over (
            order by start_at, end_at, stage_key
            rows between unbounded preceding and current row
        ) as sleep
    from flagged
),

placed as (
    select
        *,
        last_value(local_day) over (
            partition by sleep order by end_at, stage_key
            rows between unbounded preceding and unbounded following
        ) as day
    from numbered
),

sleeps as (
    select
        day,
        sleep,
        device as source_name,
        priority,
        min(source) as source,
        min_by(record_key, (start_at, stage_key)) as record_key,
        min_by(lake_file, (start_at, stage_key)) as lake_file,
        min(start_at) as start_at,
        max(end_at) as end_at,
        max_by(zone, (end_at, stage_key)) as zone,
        max_by(zone_origin, (end_at, stage_key)) as zone_origin,
        max_by(stay, (end_at, stage_key)) as place,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'in_bed'), 0) / 60 as in_bed,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'core'), 0) / 60 as core,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'deep'), 0) / 60 as deep,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'rem'), 0) / 60 as rem,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'asleep'), 0) / 60
            as unspecified,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'awake'), 0) / 60 as awake
    from placed
    group by day, sleep, device, priority
),

-- the night is the longest sleep of a day, whoever told of it
spans as (
    select
        day,
        sleep,
        row_number() over (
            partition by day order by max(end_at) - min(start_at) desc, min(start_at)
        ) > 1 as is_nap
    from sleeps
    group by day, sleep
)

select
    {{ month_of('sleeps.day') }} as month,
    sleeps.day,
    dense_rank() over (partition by sleeps.day order by sleeps.sleep) as number,
    spans.is_nap,
    source_name,
    priority,
    -- who tells stages knows more than who tells only that somebody slept, or lay in bed
    row_number() over (
        partition by sleeps.day, sleeps.sleep
        order by
            (core + deep + rem > 0) desc,
            (core + deep + rem + unspecified > 0) desc,
            priority,
            source_name
    ) = 1 as is_counted,
    start_at,
    end_at,
    zone,
    zone_origin,
    timezone(zone, timezone('UTC', start_at)) as local_at,
    place,
    in_bed as in_bed_minutes,
    core + deep + rem + unspecified as asleep_minutes,
    core as core_minutes,
    deep as deep_minutes,
    rem as rem_minutes,
    unspecified as unspecified_minutes,
    awake as awake_minutes,
    source,
    record_key,
    lake_file
from sleeps
inner join spans on spans.day = sleeps.day and spans.sleep = sleeps.sleep
where {{ partition_window(month_of('sleeps.day')) }}
