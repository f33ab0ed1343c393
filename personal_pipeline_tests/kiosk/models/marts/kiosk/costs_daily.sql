select
    day,
    kind,
    cast(sum(cost) as decimal(18, 2)) as cost
from {{ ref('int_costs') }}
where {{ partition_window('day') }}
group by day, kind
