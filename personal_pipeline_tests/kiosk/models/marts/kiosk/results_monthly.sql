with takings as (
    select
        {{ month_of('day') }} as month,
        sum(takings) as takings
    from {{ ref('takings_daily') }}
    where {{ partition_window(month_of('day')) }}
    group by 1
),

costs as (
    select
        {{ month_of('day') }} as month,
        sum(cost) as cost
    from {{ ref('costs_daily') }}
    group by 1
),

months as (
    select month from takings
    union
    select month from costs
    where {{ partition_window('month') }}
)

select
    months.month,
    cast(coalesce(any_value(takings.takings), 0) as decimal(18, 2)) as takings,
    cast(coalesce(sum(costs.cost), 0) as decimal(18, 2)) as cost_so_far
from months
left join takings using (month)
left join costs on costs.month <= months.month
group by months.month
