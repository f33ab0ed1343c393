-- A reading counts until the next one, for half a minute at most: what is longer is a pause, or a
-- strap that slipped.
with readings as (
    select
        month,
        activity_id,
        measured_at,
        heart_rate
    from {{ ref('activity_samples') }}
    where {{ partition_window('month') }} and heart_rate between 30 and 240
    union all
    select
        merges.month,
        merges.activity_id,
        told.start_at as measured_at,
        told.value as heart_rate
    from {{ ref('activity_merges') }} as merges
    -- what tells of a workout without samples, such as a watch, tells the pulse beside it
    inner join {{ ref('int_measurements') }} as told
        on told.source = merges.feed
        and told.month = merges.month
        and told.start_at between merges.start_at and merges.end_at
    where
        {{ partition_window('merges.month') }}
        and {{ partition_window('told.month') }}
        and merges.gives_heart_rate
        and told.metric = 'heart_rate'
        and told.value between 30 and 240
),

timed as (
    select
        month,
        activity_id,
        cast(round(heart_rate) as integer) as heart_rate,
        least(
            coalesce(
                epoch(
                    lead(measured_at) over (
                        partition by activity_id order by measured_at, heart_rate
                    ) - measured_at
                ),
                1
            ),
            30
        ) as seconds
    from readings
)

select
    month,
    activity_id,
    heart_rate,
    -- of whole milliseconds: a sum of fractions depends on the order of its rows
    sum(cast(round(seconds * 1000) as bigint)) / 1000 as seconds
from timed
group by month, activity_id, heart_rate
