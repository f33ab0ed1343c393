with subscriptions as (
    select
        day,
        subscription_id,
        coalesce(currency, 'unknown') as currency,
        status,
        trial_ends_at,
        started_at,
        coalesce(ended_at, case when status = 'canceled' then canceled_at end) as ended_at
    from {{ ref('stg_stripe__subscriptions') }}
    where {{ partition_window('day') }}
),

mrr as (
    select day, subscription_id, sum(mrr) as mrr
    from {{ ref('stg_stripe__subscription_items') }}
    where {{ partition_window('day') }}
    group by day, subscription_id
),

-- who never paid neither starts nor ends: it was a trial, or no first payment came
paying as (
    select
        subscriptions.day,
        subscriptions.currency,
        cast(subscriptions.started_at as date) = subscriptions.day as starts,
        coalesce(cast(subscriptions.ended_at as date) = subscriptions.day, false) as ends,
        coalesce(mrr.mrr, 0) as mrr
    from subscriptions
    left join mrr using (day, subscription_id)
    where
        subscriptions.status in ('active', 'past_due', 'canceled')
        and (
            subscriptions.status <> 'canceled'
            or subscriptions.trial_ends_at is null
            or subscriptions.ended_at > subscriptions.trial_ends_at
        )
)

select
    day,
    currency,
    count(*) filter (where starts) as started,
    count(*) filter (where ends) as ended,
    cast(coalesce(sum(mrr) filter (where starts), 0) as decimal(18, 3)) as mrr_started,
    cast(coalesce(sum(mrr) filter (where ends), 0) as decimal(18, 3)) as mrr_ended
from paying
where starts or ends
group by day, currency
