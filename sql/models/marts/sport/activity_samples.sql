select
    merges.month,
    merges.activity_id,
    samples.number,
    samples.measured_at,
    samples.latitude,
    samples.longitude,
    samples.altitude_m,
    samples.distance_m,
    samples.speed_m_s,
    samples.heart_rate,
    samples.cadence,
    samples.power,
    samples.temperature,
    samples.grade,
    samples.more
from {{ ref('int_activity_samples') }} as samples
inner join {{ ref('activity_merges') }} as merges
    on merges.feed = samples.feed
    and merges.record_key = samples.recording
    and merges.month = samples.month
where
    merges.gives_samples
    and {{ partition_window('merges.month') }}
    and {{ partition_window('samples.month') }}
