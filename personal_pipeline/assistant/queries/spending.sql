select month, category, spent, returned, currency, transactions
from spending_monthly
where month >= $since and month <= $until
order by month desc, spent desc, category, currency
limit $limit
