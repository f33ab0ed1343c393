-- What was sent on `$on` or on the day before, the most recent first.
select
    coalesce(nullif(trim(subject), ''), 'Broadcast ' || broadcast_id) as subject,
    cast(sent_at as date) as sent_on
from marts.broadcasts
where
    cast(sent_at as date) < $day
    and cast(sent_at as date) <= $on
    and cast(sent_at as date) >= cast($on as date) - 1
order by sent_at desc, broadcast_id
limit 1
