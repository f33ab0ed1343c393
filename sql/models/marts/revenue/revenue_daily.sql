with categorised as (
    select
        day,
        currency,
        coalesce(amount, 0) as amount,
        coalesce(fee, 0) as fee,
        -- servers that only know the type, and new types that have no category yet
        coalesce(
            reporting_category,
            case
                when type = 'payment' then 'charge'
                when type = 'payment_refund' then 'refund'
                when type in ('payout_failure', 'payout_cancel') then 'payout_reversal'
                when type in ('stripe_fee', 'stripe_fx_fee', 'tax_fee') then 'fee'
                else type
            end
        ) as category
    from {{ ref('stg_stripe__balance_transactions') }}
    where {{ partition_window('day') }}
),

sorted as (
    select
        day,
        currency,
        amount,
        fee,
        case
            when category in ('charge', 'charge_failure') then 'gross'
            when category in ('refund', 'refund_failure', 'partial_capture_reversal') then 'refund'
            when category in ('dispute', 'dispute_reversal') then 'dispute'
            when category in ('fee', 'network_cost') then 'fee'
            when category in ('payout', 'payout_reversal') then 'payout'
            -- money of one's own that comes in, waits, or is lent
            when category in (
                'topup', 'topup_reversal', 'risk_reserved_funds', 'connect_reserved_funds',
                'payout_minimum_balance_hold', 'payout_minimum_balance_release',
                'advance', 'advance_funding', 'anticipation_repayment'
            ) then 'own'
            else 'adjustment'
        end as kind
    from categorised
),

stripe as (
    select
        day,
        currency,
        sum(case when kind = 'gross' then amount else 0 end) as gross,
        sum(fee - case when kind = 'fee' then amount else 0 end) as fees,
        sum(case when kind = 'refund' then -amount else 0 end) as refunds,
        sum(case when kind = 'dispute' then -amount else 0 end) as disputes,
        sum(case when kind = 'adjustment' then amount else 0 end) as adjustments,
        sum(case when kind = 'payout' then -amount else 0 end) as payouts
    from sorted
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
        cast(coalesce(stripe.gross, 0) as decimal(18, 3)) as gross,
        cast(coalesce(stripe.fees, 0) as decimal(18, 3)) as fees,
        cast(coalesce(stripe.refunds, 0) as decimal(18, 3)) as refunds,
        cast(coalesce(stripe.disputes, 0) as decimal(18, 3)) as disputes,
        cast(coalesce(stripe.adjustments, 0) as decimal(18, 3)) as adjustments,
        cast(coalesce(stripe.payouts, 0) as decimal(18, 3)) as payouts,
        cast(coalesce(medium.earnings, 0) as decimal(18, 3)) as medium_earnings
    from stripe
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
