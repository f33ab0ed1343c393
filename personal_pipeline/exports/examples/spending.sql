-- description: Spending by month, account and category, for an accountant.
-- format: csv
-- when: monthly
select
    month,
    account,
    coalesce(category, 'without a category') as category,
    currency,
    -sum(amount) as spent,
    count(*) as transactions
from transactions
where kind = 'spending' and month < date_trunc('month', current_date)
group by all
order by all
