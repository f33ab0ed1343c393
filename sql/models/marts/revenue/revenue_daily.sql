with sold as (
    select
        day,
        currency,
        sum(case when kind = 'gross' then amount else 0 end) as gross,
        sum(fee - case when kind = 'fee' then amount else 0 end) as fees,
        sum(case when kind = 'refund' then -amount else 0 end) as refunds,
        sum(case when kind = 'dispute' then -amount else 0 end) as disputes,
        sum(case when kind = 'adjustment' then amount else 0 end) as adjustments,
        sum(case when kind = 'payout' then -amount else 0 end) as payouts
    from {{ ref('int_revenue') }}
    where {{ partition_window('day') }}
    group by day, currency
),

medium as (
    select day, 'usd' as currency, earnings
    from {{ ref('engagement_daily') }}
    where earnings <> 0 and {{ partition_window('day') }}
),

joined as (
    select
        day,
        currency,
        cast(coalesce(sold.gross, 0) as decimal(18, 3)) as gross,
        cast(coalesce(sold.fees, 0) as decimal(18, 3)) as fees,
        cast(coalesce(sold.refunds, 0) as decimal(18, 3)) as refunds,
        cast(coalesce(sold.disputes, 0) as decimal(18, 3)) as disputes,
        cast(coalesce(sold.adjustments, 0) as decimal(18, 3)) as adjustments,
        cast(coalesce(sold.payouts, 0) as decimal(18, 3)) as payouts,
        cast(coalesce(medium.earnings, 0) as decimal(18, 3)) as medium_earnings
    from sold
    full join medium using (day, currency)
)

select
    day,
    currency,
    gross,
    fees,
    refunds,
    disputes,
    adjustments,
    cast(gross - fees - refunds - disputes + adjustments as decimal(18, 3)) as net,
    payouts,
    medium_earnings
from joined
