-- The last 20 broadcasts sent before the day of the report, most recent first. Rates in percent.
select
    cast(broadcast_id as varchar) as broadcast_id,
    coalesce(nullif(trim(subject), ''), 'Broadcast ' || broadcast_id) as subject,
    cast(sent_at as date) as sent_on,
    cast(recipients as bigint) as recipients,
    cast(open_rate as double) as open_rate,
    cast(click_rate as double) as click_rate,
    cast(unsubscribes as bigint) as unsubscribes,
    cast(total_clicks as bigint) as total_clicks
from marts.broadcasts
where sent_at is not null and cast(sent_at as date) < $day
order by sent_at desc, broadcast_id
limit 20
