-- a row lies under each day on which something happened to the subscription
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
),

looks as (
    select seen_at, lag(seen_at) over (order by seen_at) as since
    from (select distinct seen_at from states)
),

-- each state beside the one before, and the look before that saw a change
steps as (
    select
        states.*,
        coalesce(mrr.mrr, 0) as mrr,
        looks.since,
        coalesce(lag(states.pays) over before, false) as paid,
        lag(states.currency) over before as currency_before,
        coalesce(lag(mrr.mrr) over before, 0) as mrr_before
    from states
    inner join looks using (seen_at)
    left join mrr using (record_key)
    window before as (partition by states.subscription_id order by states.seen_at)
),

-- what Stripe tells the time of happened then, when that lies between the two looks; anything else
-- happened when it was seen: the days before the look before do not change any more
timed as (
    select
        *,
        pays and paid and currency = currency_before as goes_on,
        pays_from <= seen_at and (since is null or pays_from > since) as told_from,
        pays_until <= seen_at and (since is null or pays_until > since) as told_until
    from steps
),

movements as (
    select
        cast(case when told_from then pays_from else seen_at end as date) as day,
        currency,
        1 as started,
        0 as ended,
        mrr as mrr_started,
        0 as mrr_ended,
        0 as mrr_changed
    from timed
    where pays and not goes_on

    union all

    select
        cast(case when told_until then pays_until else seen_at end as date) as day,
        currency_before as currency,
        0 as started,
        1 as ended,
        0 as mrr_started,
        mrr_before as mrr_ended,
        0 as mrr_changed
    from timed
    where paid and not goes_on

    union all

    -- it began and ended between two looks, or before the first
    select
        cast(unnest([pays_from, pays_until]) as date) as day,
        currency,
        unnest([1, 0]) as started,
        unnest([0, 1]) as ended,
        unnest([mrr, 0]) as mrr_started,
        unnest([0, mrr]) as mrr_ended,
        0 as mrr_changed
    from timed
    where not pays and not paid and told_from and told_until and pays_from < pays_until

    union all

    select
        cast(seen_at as date) as day,
        currency,
        0 as started,
        0 as ended,
        0 as mrr_started,
        0 as mrr_ended,
        mrr - mrr_before as mrr_changed
    from timed
    where goes_on and mrr <> mrr_before
)

select
    day,
    currency,
    cast(sum(started) as bigint) as started,
    cast(sum(ended) as bigint) as ended,
    cast(sum(mrr_started) as decimal(18, 3)) as mrr_started,
    cast(sum(mrr_ended) as decimal(18, 3)) as mrr_ended,
    cast(sum(mrr_changed) as decimal(18, 3)) as mrr_changed
from movements
where {{ partition_window('day') }}
group by day, currency
