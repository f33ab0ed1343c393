select
    day,
    product,
    sum(pieces)::bigint as pieces,
    cast(sum(amount) as decimal(18, 2)) as takings
from {{ ref('stg_till__sales') }}
where {{ partition_window('day') }}
group by day, product
