-- What was given back on `$on`, and the subscriptions that began or ended, in one currency.
select
    cast(coalesce(sum(revenue.refunds), 0) as decimal(18, 3)) as refunds,
    cast(coalesce(sum(moved.started), 0) as bigint) as started,
    cast(coalesce(sum(moved.ended), 0) as bigint) as ended
from marts.revenue_daily as revenue
left join marts.subscription_movements_daily as moved
    on moved.day = revenue.day and lower(moved.currency) = lower(revenue.currency)
where revenue.day = $on and revenue.day < $day and lower(revenue.currency) = $currency
