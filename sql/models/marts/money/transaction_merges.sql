-- Every line of every statement, and the transaction that it is. No rule looks at when a file was
-- dropped, so the order of drops changes nothing; and every join is within one account.
with recursive lines as (
    select
        transactions.record_key,
        transactions.lake_file,
        links.account_id,
        -- the list that a line stands in: an account in one format
        transactions.account_reference as listing,
        transactions.feed,
        transactions.source_id,
        transactions.posted_on,
        transactions.transacted_on,
        transactions.amount,
        coalesce(
            transactions.currency,
            max(transactions.currency) over (partition by links.account_id),
            ''
        ) as currency,
        transactions.text,
        transactions.is_pending,
        transactions.corrects_id,
        transactions.correction
    from {{ ref('stg_bank__transactions') }} as transactions
    inner join {{ ref('account_links') }} as links using (account_reference)
),

statements as (
    select
        record_key as statement,
        account_reference as listing,
        starts_on,
        ends_on,
        transaction_keys,
        row_number() over (
            partition by account_reference
            order by ends_on, coalesce(made_at, ''), len(transaction_keys), record_key
        ) as age
    from {{ ref('stg_bank__statements') }}
),

listed as (
    select statement, listing, starts_on, ends_on, age, unnest(transaction_keys) as record_key
    from statements
),

last_listed as (
    select *
    from listed
    qualify row_number() over (partition by record_key order by age desc) = 1
),

-- 1. The bank says so.
corrected as (
    select
        wrong.record_key,
        case when right_.correction = 'DELETE' then null else right_.record_key end as is_now
    from lines as wrong
    inner join lines as right_
        on right_.listing = wrong.listing
        and right_.corrects_id = wrong.source_id
        and right_.record_key <> wrong.record_key
    qualify row_number() over (partition by wrong.record_key order by right_.record_key) = 1
),

-- 2. A line that a later list of the same days no longer holds. A list may have been made within
-- its first or last day, so that day counts only where both lists share that bound.
gone as (
    select
        lines.record_key,
        before.statement as listed_in,
        later.statement as missing_in
    from lines
    inner join last_listed as before using (record_key)
    inner join statements as later
        on later.listing = lines.listing
        and later.age > before.age
        and lines.posted_on between later.starts_on and later.ends_on
        and (lines.posted_on > later.starts_on or before.starts_on = later.starts_on)
        and (lines.posted_on < later.ends_on or before.ends_on = later.ends_on)
    anti join corrected on corrected.record_key = lines.record_key
    where not lines.is_pending
    qualify row_number() over (partition by lines.record_key order by later.age desc) = 1
),

ranked as (
    select
        *,
        row_number() over (
            partition by listing, currency, amount, posted_on order by text, source_id, record_key
        ) as place
    from lines
    where not is_pending and correction is distinct from 'DELETE'
),

-- one to one between two lists, so the new line is named together with the list of the old one
replacements_possible as (
    select
        old.record_key as one,
        gone.listed_in || '/' || new.record_key as other,
        case
            when new.amount = old.amount and new.posted_on = old.posted_on then 0
            when new.source_id = old.source_id then 100000
            else 200000
        end
        + 1000 * abs(new.posted_on - old.posted_on)
        + least(abs(new.place - old.place), 999) as cost
    from gone
    inner join ranked as old using (record_key)
    inner join listed as there on there.statement = gone.missing_in
    inner join ranked as new on new.record_key = there.record_key
    where
        new.currency = old.currency
        and (
            (new.amount = old.amount and new.posted_on = old.posted_on)
            or (new.source_id = old.source_id and abs(new.posted_on - old.posted_on) <= 10)
            -- posted later than it was announced
            or (new.amount = old.amount and new.posted_on - old.posted_on between 1 and 5)
        )
        -- what stood beside it was another one
        and not exists (
            select 1 from listed as beside
            where beside.statement = gone.listed_in and beside.record_key = new.record_key
        )
),

{{ closest_pairs('replaced', 'replacements_possible') }},

steps as (
    select
        one as record_key,
        split_part(other, '/', 2) as is_now,
        case when cost < 100000 then 'replaced' when cost < 200000 then 'revised' else 'moved' end
            as rule
    from replaced
    union all
    select record_key, is_now, if(is_now is null, 'deleted', 'corrected') from corrected
),

-- a replacement may have been replaced in its turn
followed as (
    select record_key, record_key as line, 0 as step
    from lines
    union all
    select followed.record_key, steps.is_now, followed.step + 1
    from followed
    inner join steps on steps.record_key = followed.line
    where followed.step < 50
),

ends as (
    select record_key, arg_max(line, step) as line
    from followed
    group by record_key
    -- null: the bank deleted it
    having count(*) = count(line)
),

-- 3. Equal amounts of one day in different lists are the same, one by one: as many as the longest
-- list has. Within one list they are different.
clustered as (
    select
        lines.*,
        lines.account_id || '/' || lines.currency || '/' || lines.amount || '/' || lines.posted_on
        || '/' || row_number() over (
            partition by lines.listing, lines.currency, lines.amount, lines.posted_on
            order by lines.text, lines.source_id, lines.record_key
        ) as cluster
    from lines
    anti join steps on steps.record_key = lines.record_key
    where not lines.is_pending and lines.correction is distinct from 'DELETE'
),

clusters as (
    select
        cluster,
        account_id,
        currency,
        amount,
        posted_on,
        list(distinct listing) as listings,
        list(distinct transacted_on) filter (where transacted_on is not null) as transacted_on
    from clustered
    group by all
),

-- 4. Formats differ in the day: one tells when it was paid, another when it was posted. Both are
-- one only where one list covers the other's day and lacks it there.
formats as (
    select account_id, count(distinct listing) as listings
    from lines
    group by account_id
),

lonely as (
    select clusters.*
    from clusters
    inner join formats using (account_id)
    where len(clusters.listings) < formats.listings
),

covered as (
    select distinct lonely.cluster, statements.listing
    from lonely
    inner join {{ ref('account_links') }} as links using (account_id)
    inner join statements
        on statements.listing = links.account_reference
        and lonely.posted_on between statements.starts_on and statements.ends_on
),

-- joined by day, and not by a span of days: equal amounts are many
near_days as (
    select
        *,
        unnest(
            list_distinct(
                list_concat(
                    list_transform([-3, -2, -1, 1, 2, 3], lambda days: posted_on + days),
                    coalesce(transacted_on, [])
                )
            )
        ) as near_on
    from lonely
),

near_each_other as (
    select a.cluster as one, b.cluster as other
    from near_days as a
    inner join lonely as b
        on b.account_id = a.account_id
        and b.currency = a.currency
        and b.amount = a.amount
        and b.posted_on = a.near_on
        and b.posted_on <> a.posted_on
        and not list_has_any(a.listings, b.listings)
),

near_possible as (
    select
        a.cluster as one,
        b.cluster as other,
        case
            when coalesce(list_contains(a.transacted_on, b.posted_on), false)
                or coalesce(list_contains(b.transacted_on, a.posted_on), false) then 0
            else abs(a.posted_on - b.posted_on)
        end as cost
    from (
        select one, other from near_each_other
        union
        select other, one from near_each_other
    ) as pairs
    inner join lonely as a on a.cluster = pairs.one
    inner join lonely as b on b.cluster = pairs.other
    where exists (
        select 1
        from covered
        where
            (covered.cluster = a.cluster and list_contains(b.listings, covered.listing))
            or (covered.cluster = b.cluster and list_contains(a.listings, covered.listing))
    )
),

{{ closest_pairs('near', 'near_possible') }},

merged as (
    select
        clustered.*,
        least(clustered.cluster, coalesce(near.other, clustered.cluster)) as whole_cluster
    from clustered
    left join near on near.one = clustered.cluster
),

-- OFX has more fields than any CSV, so its line stands for the transaction
standing as (
    select
        *,
        first_value(record_key) over (
            partition by whole_cluster order by feed <> 'ofx', feed, posted_on, record_key
        ) as transaction_id,
        first_value(posted_on) over (
            partition by whole_cluster order by feed <> 'ofx', feed, posted_on, record_key
        ) as stands_on
    from merged
),

-- 5. What was pending is never counted itself.
pending_matches as (
    select
        pending.record_key,
        standing.transaction_id
    from lines as pending
    inner join standing
        on standing.account_id = pending.account_id
        and standing.currency = pending.currency
        and (
            (standing.source_id = pending.source_id and standing.listing = pending.listing)
            or standing.amount = pending.amount
        )
        and standing.posted_on - pending.posted_on between -1 and 10
    where pending.is_pending
    qualify row_number() over (
        partition by pending.record_key
        order by
            coalesce(standing.source_id = pending.source_id, false) desc,
            abs(standing.posted_on - pending.posted_on),
            standing.transaction_id
    ) = 1
)

select
    lines.record_key,
    lines.lake_file,
    lines.account_id,
    lines.feed,
    lines.posted_on,
    lines.amount,
    nullif(lines.currency, '') as currency,
    coalesce(standing.transaction_id, pending_matches.transaction_id) as transaction_id,
    case
        when lines.is_pending and pending_matches.transaction_id is null then 'open'
        when lines.is_pending then 'pending'
        when lines.correction = 'DELETE' then 'deleted'
        when steps.rule is not null then steps.rule
        when standing.transaction_id = lines.record_key then 'stands'
        when standing.stands_on = lines.posted_on then 'same day'
        else 'near day'
    end as rule,
    case
        when lines.is_pending and pending_matches.transaction_id is null
            then 'it was pending, and no statement has it as posted yet: not counted'
        when lines.is_pending
            then 'it was pending; the same amount, or its id, was posted within ten days'
        when lines.correction = 'DELETE' or steps.rule = 'deleted'
            then 'the bank deleted it by a later correction'
        when steps.rule = 'corrected' then 'the bank replaced it by a later correction'
        when steps.rule = 'replaced'
            then 'a later list of the same days lacks it, and has its amount on its day instead'
        when steps.rule = 'revised'
            then 'a later list of the same days has its id with another amount or day'
        when steps.rule = 'moved'
            then 'a later list of the same days lacks it, and has its amount up to five days later'
        when standing.transaction_id = lines.record_key then 'it stands for the transaction'
        when standing.stands_on = lines.posted_on
            then 'another format of the same account has its amount on its day'
        else 'another format of the same account has its amount, within three days or on the day '
            || 'of payment'
    end as reason
from lines
left join ends using (record_key)
left join standing on standing.record_key = ends.line
left join pending_matches on pending_matches.record_key = lines.record_key
left join steps on steps.record_key = lines.record_key
