-- A sleep is what lies together without three hours in between, whatever measured it. It belongs to
-- the UTC day whose beginning is nearest to when it began: one that began before the month may
-- belong into it, so the month before is read too.
with stages as (
    select
        device as source_name,
        priority,
        stage,
        start_at,
        end_at,
        source || '/' || record_key as record_key
    from {{ ref('int_sleep_stages') }}
    where
        {{ partition_window('month') }}
        or {{ partition_window("cast(month + interval 1 month as date)") }}
),

flagged as (
    select
        *,
        coalesce(
            start_at > interval 3 hours + max(end_at) over (
                order by start_at, end_at, record_key
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
            order by start_at, end_at, record_key
            rows between unbounded preceding and current row
        ) as sleep
    from flagged
),

placed as (
    select
        *,
        cast(min(start_at) over (partition by sleep) + interval 12 hours as date) as day
    from numbered
),

nights as (
    select
        day,
        source_name,
        priority,
        min(start_at) as start_at,
        max(end_at) as end_at,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'in_bed'), 0) / 60 as in_bed,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'core'), 0) / 60 as core,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'deep'), 0) / 60 as deep,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'rem'), 0) / 60 as rem,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'asleep'), 0) / 60
            as unspecified,
        coalesce(sum(epoch(end_at - start_at)) filter (where stage = 'awake'), 0) / 60 as awake
    from placed
    group by day, source_name, priority
)

select
    {{ month_of('day') }} as month,
    day,
    source_name,
    priority,
    -- who tells stages knows more than who tells only that somebody slept, or lay in bed
    row_number() over (
        partition by day
        order by
            (core + deep + rem > 0) desc,
            (core + deep + rem + unspecified > 0) desc,
            priority,
            source_name
    ) = 1 as is_counted,
    start_at,
    end_at,
    in_bed as in_bed_minutes,
    core + deep + rem + unspecified as asleep_minutes,
    core as core_minutes,
    deep as deep_minutes,
    rem as rem_minutes,
    unspecified as unspecified_minutes,
    awake as awake_minutes
from nights
where {{ partition_window(month_of('day')) }}
