-- The most recent month of segments, the largest first, with the previous export for comparison.
with months as (
    select
        max(month) as newest,
        max(month) filter (where month < (
            select max(month) from marts.subscriber_segments_monthly where month < $day
        )) as before
    from marts.subscriber_segments_monthly
    where month < $day
)

select
    cast(months.newest as date) as month,
    cast(months.before as date) as month_before,
    current.segment,
    cast(current.subscribers as bigint) as subscribers,
    cast(earlier.subscribers as bigint) as subscribers_before
from marts.subscriber_segments_monthly as current
inner join months on current.month = months.newest
left join marts.subscriber_segments_monthly as earlier
    on earlier.month = months.before and earlier.segment = current.segment
order by current.subscribers desc, current.segment
