-- Amounts are cut where a better source measured the same time: what is left of an interval counts.
-- Readings are not amounts: of those the best source of the day counts, whole.
with metrics (metric, kind) as (
    values
    ('steps', 'amount'),
    ('distance_walking_running', 'amount'),
    ('distance_cycling', 'amount'),
    ('distance_swimming', 'amount'),
    ('flights_climbed', 'amount'),
    ('active_energy', 'amount'),
    ('basal_energy', 'amount'),
    ('exercise', 'amount'),
    ('heart_rate', 'reading'),
    ('resting_heart_rate', 'reading'),
    ('heart_rate_variability', 'reading'),
    ('respiratory_rate', 'reading'),
    ('oxygen_saturation', 'reading'),
    ('vo2_max', 'reading'),
    ('weight', 'reading'),
    ('body_fat', 'reading')
),

told as (
    select *, null::integer as utc_offset_seconds
    from {{ ref('int_measurements') }}
    where {{ near_partition_window('month', 'start_at') }}
),

measured as (
    select
        {{ month_of('told.local_day') }} as month,
        told.local_day as day,
        told.metric,
        metrics.kind,
        told.unit,
        told.device as source_name,
        told.priority,
        told.source,
        told.source || '/' || told.record_key as record_key,
        told.start_at,
        told.end_at,
        told.value as quantity
    from {{ lived('told') }} as told
    inner join metrics using (metric)
    where
        {{ partition_window(month_of('told.local_day')) }}
        -- a reading of nothing is none: no pulse of a living person is 0
        and (told.value > 0 or metrics.kind = 'amount')
),

ranked as (
    select
        *,
        dense_rank() over (partition by metric, day order by priority, source_name) as rank
    from measured
),

ranks as (
    select
        metric,
        day,
        rank,
        priority,
        source_name
    from ranked
    where rank > 1
    group by all
),

-- the time that better sources cover, as stretches without a gap
covering as (
    select
        ranks.metric,
        ranks.day,
        ranks.rank,
        ranked.start_at,
        ranked.end_at,
        coalesce(
            ranked.start_at > max(ranked.end_at) over (
                partition by ranks.metric, ranks.day, ranks.rank
                order by ranked.start_at, ranked.end_at
                rows between unbounded preceding and 1 preceding
            ),
            true
        ) as begins
    from ranks
    inner join ranked
        on ranked.metric = ranks.metric and ranked.day = ranks.day and ranked.rank < ranks.rank
    where ranked.kind = 'amount'
),

numbered as (
    select
        *,
        sum(begins::integer) over (
            partition by metric, day, rank order by start_at, end_at
            rows between unbounded preceding and current row
        ) as stretch
    from covering
),

stretches as (
    select
        metric,
        day,
        rank,
        min(start_at) as start_at,
        max(end_at) as end_at
    from numbered
    group by metric, day, rank, stretch
),

covered as (
    select
        ranked.record_key,
        sum(
            if(
                ranked.end_at > ranked.start_at,
                epoch(
                    least(ranked.end_at, stretches.end_at)
                    - greatest(ranked.start_at, stretches.start_at)
                ) / epoch(ranked.end_at - ranked.start_at),
                1
            )
        ) as share
    from ranked
    inner join stretches
        on stretches.metric = ranked.metric
        and stretches.day = ranked.day
        and stretches.rank = ranked.rank
        and stretches.end_at > ranked.start_at
        and (
            stretches.start_at < ranked.end_at
            -- an instant, which has no share
            or (ranked.start_at = ranked.end_at and stretches.start_at = ranked.start_at)
        )
    where ranked.kind = 'amount'
    group by ranked.record_key
),

shared as (
    select
        ranked.*,
        case
            -- a strap and a watch may both tell the pulse: readings of a range do not add up
            when metric = 'heart_rate' then 1
            when kind = 'reading' then (rank = 1)::integer
            else 1 - least(coalesce(covered.share, 0), 1)
        end as counted_share
    from ranked
    left join covered using (record_key)
)

select
    month,
    day,
    metric,
    kind,
    min(unit) as unit,
    source_name,
    priority,
    rank,
    count(*) as records,
    count(*) filter (where counted_share < 1) as records_left_out,
    if(kind = 'amount', round(sum(quantity), 6), null) as amount,
    if(kind = 'amount', round(sum(quantity * counted_share), 6), null) as counted,
    if(kind = 'amount', round(sum(quantity * (1 - counted_share)), 6), null) as left_out,
    if(kind = 'reading', round(avg(quantity), 6), null) as average,
    min(quantity) filter (where kind = 'reading') as lowest,
    max(quantity) filter (where kind = 'reading') as highest,
    arg_max(quantity, (start_at, record_key)) filter (where kind = 'reading') as last,
    min(source) as source
from shared
group by month, day, metric, kind, source_name, priority, rank
