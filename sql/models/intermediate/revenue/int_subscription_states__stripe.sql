-- In staging a row lies under each day on which something happened to the subscription.
with states as (
    select distinct
        record_key,
        subscription_id,
        seen_at,
        coalesce(currency, 'unknown') as currency,
        -- of a pause the behavior is always told
        coalesce(status in ('active', 'past_due') and pause_behavior is null, false) as pays,
        greatest(started_at, trial_ends_at) as pays_from,
        case when status = 'canceled' then coalesce(ended_at, canceled_at) end as pays_until
    from {{ ref('stg_stripe__subscription_states') }}
),

mrr as (
    select record_key, sum(mrr) as mrr
    from (
        select distinct record_key, item_id, mrr
        from {{ ref('stg_stripe__subscription_state_items') }}
    )
    group by record_key
)

select
    'stripe' as source,
    states.*,
    cast(coalesce(mrr.mrr, 0) as decimal(18, 3)) as mrr
from states
left join mrr using (record_key)
