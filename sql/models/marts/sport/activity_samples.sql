with samples as (
    select 'fit' as feed, * from {{ ref('stg_fit__recording_samples') }}
    where {{ partition_window('month') }}
    union all by name
    select 'strava_file' as feed, * from {{ ref('stg_strava__recording_samples') }}
    where {{ partition_window('month') }}
)

select
    merges.month,
    merges.activity_id,
    samples.number,
    samples.measured_at,
    samples.latitude,
    samples.longitude,
    samples.altitude as altitude_m,
    samples.distance as distance_m,
    samples.speed as speed_m_s,
    samples.heart_rate,
    samples.cadence,
    samples.power,
    samples.temperature,
    samples.grade,
    samples.more
from samples
inner join {{ ref('activity_merges') }} as merges
    on merges.feed = samples.feed
    and merges.record_key = samples.recording
    and merges.month = samples.month
where merges.gives_samples and {{ partition_window('merges.month') }}
