with categorised as (
    select
        *,
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
)

select
    day,
    'stripe' as source,
    record_key,
    lake_file,
    currency,
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
    end as kind,
    coalesce(amount, 0) as amount,
    coalesce(fee, 0) as fee
from categorised
