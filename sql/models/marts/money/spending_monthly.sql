select
    month,
    currency,
    coalesce(category, 'uncategorised') as category,
    cast(-coalesce(sum(amount) filter (where kind = 'spending'), 0) as decimal(38, 18)) as spent,
    -- what comes back in a category that somebody named; all other income is no spending
    cast(
        coalesce(sum(amount) filter (where kind = 'income' and category is not null), 0)
        as decimal(38, 18)
    ) as returned,
    count(*) filter (where kind = 'spending') as transactions
from {{ ref('transactions') }}
where {{ partition_window('month') }} and kind in ('spending', 'income')
group by 1, 2, 3
having count(*) filter (where kind = 'spending') > 0
