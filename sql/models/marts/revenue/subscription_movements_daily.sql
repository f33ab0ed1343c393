with states as (
    select * from {{ ref('int_subscription_states') }}
),

looks as (
    select source, seen_at, lag(seen_at) over (partition by source order by seen_at) as since
    from (select distinct source, seen_at from states)
),

-- each state beside the one before, and the look before that saw a change
steps as (
    select
        states.*,
        looks.since,
        coalesce(lag(states.pays) over before, false) as paid,
        lag(states.currency) over before as currency_before,
        coalesce(lag(states.mrr) over before, 0) as mrr_before
    from states
    inner join looks using (source, seen_at)
    window before as (
        partition by states.source, states.subscription_id order by states.seen_at
    )
),

-- what the service tells the time of happened then, when that lies between the two looks; anything else
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
