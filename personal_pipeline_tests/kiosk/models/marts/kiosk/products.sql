with sold as (
    select
        product,
        sum(pieces) as pieces
    from {{ ref('stg_till__sales') }}
    group by product
),

prices as (
    select
        record_key as product,
        arg_max(price, day) as price
    from {{ ref('stg_wholesale__prices') }}
    group by record_key
)

select
    product,
    sold.pieces::bigint as pieces,
    prices.price
from sold
full join prices using (product)
