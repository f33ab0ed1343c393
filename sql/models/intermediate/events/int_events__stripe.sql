-- A record lies under each day on which something happened to it, and counts on that of its own.
with charges as (
    select distinct on (month, record_key)
        *
    from {{ ref('stg_stripe__charges') }}
    where status = 'succeeded' and {{ month_of('created_at') }} = month
    order by month, record_key, day
),

refunds as (
    select distinct on (month, record_key)
        *
    from {{ ref('stg_stripe__refunds') }}
    where coalesce(status, '') not in ('failed', 'canceled') and {{ month_of('created_at') }} = month
    order by month, record_key, day
),

payouts as (
    select distinct on (month, record_key)
        *
    from {{ ref('stg_stripe__payouts') }}
    where coalesce(status, '') not in ('failed', 'canceled') and {{ month_of('created_at') }} = month
    order by month, record_key, day
)

select
    month,
    'stripe' as source,
    'payment' as kind,
    record_key,
    lake_file,
    created_at as start_at,
    coalesce(nullif(trim(description), ''), 'Payment') as title,
    concat_ws(' · ', payment_method_type, billing_country) as detail,
    cast(amount as decimal(38, 18)) as amount,
    currency,
    nullif(trim(description), '') is not null as by_others
from charges
union all by name
select
    month,
    'stripe' as source,
    'refund' as kind,
    record_key,
    lake_file,
    created_at as start_at,
    'Refund' as title,
    reason as detail,
    cast(-amount as decimal(38, 18)) as amount,
    currency
from refunds
union all by name
select
    month,
    'stripe' as source,
    'payout' as kind,
    record_key,
    lake_file,
    created_at as start_at,
    'Payout to the bank' as title,
    if(arrives_at is null, null, 'arrives ' || strftime(arrives_at, '%Y-%m-%d')) as detail,
    cast(amount as decimal(38, 18)) as amount,
    currency
from payouts
