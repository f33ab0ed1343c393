-- Everything that tells of an activity, and the activity that it is. A person does one thing at a
-- time, so what overlaps in time is one. No rule looks at when a file was dropped, so the order of
-- drops changes nothing.
with recursive records as (
    select
        feed || '/' || record_key as record,
        source,
        feed,
        role,
        case role when 'diary' then 1 when 'recording' then 2 else 3 end as place,
        month,
        record_key,
        lake_file,
        start_at,
        end_at,
        kind,
        file,
        moment,
        format,
        coalesce(samples, 0) as samples,
        heart_rate_average is not null or heart_rate_highest is not null as has_heart_rate,
        power_average is not null as has_power
    from {{ ref('int_activities') }}
),

by_day as (
    select
        *,
        unnest(
            generate_series(cast(start_at as date), cast(end_at as date), interval 1 day)
        ) as day
    from records
),

overlapping as (
    select distinct
        a.record as one,
        b.record as other
    from by_day as a
    inner join by_day as b on b.day = a.day and b.record > a.record
    where
        (a.kind is null or b.kind is null or a.kind = b.kind
            or (a.kind in ('walk', 'hike') and b.kind in ('walk', 'hike')))
        -- of two that do not overlap, no third one can overlap both by more than half
        and epoch(least(a.end_at, b.end_at) - greatest(a.start_at, b.start_at))
        > 0.5 * epoch(greatest(a.end_at, b.end_at) - least(a.start_at, b.start_at))
),

sessions as (
    select source, file, count(*) as sessions
    from records
    where role = 'recording'
    group by source, file
),

pairs as (
    select a.record as one, b.record as other, 1 as rule
    from records as a
    inner join records as b on a.role = 'recording' and b.role = 'recording'
        and b.record_key = a.record_key and b.feed > a.feed
    union all
    select a.record, b.record, 4
    from records as a
    inner join records as b on a.role = 'diary' and b.role = 'diary' and b.source = a.source
        and b.record_key = a.record_key and b.feed > a.feed
    union all
    -- a service may cut a file of several sports into several activities
    select a.record, b.record, 2
    from records as a
    inner join records as b on a.role = 'diary' and b.role = 'recording'
        and b.source = a.source and b.file = a.file
    inner join sessions
        on sessions.source = a.source and sessions.file = a.file and sessions.sessions = 1
    union all
    select a.record, b.record, 3
    from records as a
    inner join records as b on b.moment = a.moment and b.record > a.record
    union all
    select one, other, 5 from overlapping
),

linked as (
    select one, other, rule from pairs
    union all
    select other, one, rule from pairs
),

reached as (
    select record, record as other from records
    union
    select reached.record, linked.other
    from reached
    inner join linked on linked.one = reached.other
),

placed as (
    select
        reached.record,
        arg_min(reached.other, (records.place, reached.other)) as activity_id
    from reached
    inner join records on records.record = reached.other
    group by reached.record
),

rules as (
    select one as record, min(rule) as rule from linked group by one
),

ranked as (
    select
        records.*,
        placed.activity_id,
        rules.rule as rule_number,
        -- who measured more; then the format that keeps more, the longer one, and the file by itself
        row_number() over (
            partition by placed.activity_id
            order by
                samples > 0 desc, has_heart_rate::integer + has_power::integer desc,
                format = 'fit' desc, samples desc, place, records.record
        ) = 1 and samples > 0 as gives_samples,
        bool_or(samples > 0 and has_heart_rate) over (partition by placed.activity_id)
            as is_heart_rate_recorded,
        row_number() over (
            partition by placed.activity_id, feed order by end_at - start_at desc, records.record
        ) as place_in_feed,
        row_number() over (
            partition by placed.activity_id, role order by end_at - start_at desc, records.record
        ) as place_in_role
    from records
    inner join placed using (record)
    left join rules using (record)
)

select
    month,
    record,
    feed,
    record_key,
    lake_file,
    start_at,
    end_at,
    kind,
    activity_id,
    place_in_feed,
    coalesce(gives_samples, false) as gives_samples,
    coalesce(
        if(
            is_heart_rate_recorded,
            gives_samples and has_heart_rate,
            role = 'summary' and place_in_role = 1
        ),
        false
    ) as gives_heart_rate,
    case
        when record = activity_id then 'stands'
        when rule_number = 1 then 'same bytes'
        when rule_number = 2 then 'file of the row'
        when rule_number = 3 then 'same device and moment'
        when rule_number = 4 then 'same number'
        else 'overlap'
    end as rule,
    case
        when record = activity_id then 'it stands for the activity'
        when rule_number = 1 then 'the same file, byte for byte, came by itself and from Strava'
        when rule_number = 2 then 'the row of Strava names this file'
        when rule_number = 3 then 'the same device made both files in the same second'
        when rule_number = 4 then 'both have the same number at Strava'
        else 'both take up more than half of the time from the first start to the last end, and '
            || 'their kinds do not contradict each other'
    end as reason
from ranked
where {{ partition_window('month') }}
