with sent as (
    select broadcast_id, subject, sent_at
    from {{ ref('int_broadcasts') }}
    qualify row_number() over (partition by broadcast_id order by day desc) = 1
),

stats as (
    select *
    from {{ ref('int_broadcast_stats') }}
    qualify row_number() over (partition by broadcast_id order by day desc) = 1
)

select
    sent.broadcast_id,
    sent.subject,
    sent.sent_at,
    stats.recipients,
    stats.open_rate,
    stats.click_rate,
    stats.unsubscribes,
    stats.total_clicks,
    stats.day as captured_on
from sent
left join stats using (broadcast_id)
