select
    columns(name -> name in ('posted_on', 'category', 'currency', 'description', 'memo', 'account')),
    -amount as spent,
    transaction_id,
    reference
from transactions
where month >= $since
    and month <= $until
    and kind = 'spending'
    and lower(coalesce(category, 'uncategorised')) = lower($category)
order by posted_on desc, spent desc, transaction_id
limit $limit
