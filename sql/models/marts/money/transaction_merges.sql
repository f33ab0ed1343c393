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
        {{ payee_word('transactions.text') }} as payee,
        {{ letters_of('transactions.text') }} as letters,
        transactions.is_pending,
        transactions.corrects_id,
        transactions.correction
    from {{ ref('int_transactions') }} as transactions
    inner join {{ ref('account_links') }} as links using (account_reference)
),

statements as (
    select
        record_key as statement,
        account_reference as listing,
        starts_on,
        ends_on,
        -- a list may have been made within its last day, but not where the next one goes on
        if(
            exists (
                select 1
                from {{ ref('int_statements') }} as following
                where
                    following.account_reference = stated.account_reference
                    and following.starts_on = stated.ends_on + 1
            ),
            ends_on,
            ends_on - 1
        ) as whole_until,
        transaction_keys,
        row_number() over (
            partition by account_reference
            order by ends_on, coalesce(made_at, ''), len(transaction_keys), record_key
        ) as age
    from {{ ref('int_statements') }} as stated
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

-- What stands in the later list instead, by day: a bank that renews its ids makes every line a gone
-- one, so that nothing here may pair lines with whole lists.
near_in_time as materialized (
    select
        gone.record_key as old_key,
        gone.listed_in,
        new.record_key as new_key
    from (
        select
            gone.*,
            old.listing,
            unnest(range(-10, 11)) as days,
            old.posted_on
        from gone
        inner join ranked as old using (record_key)
    ) as gone
    inner join ranked as new
        on new.listing = gone.listing
        and new.posted_on = gone.posted_on + cast(gone.days as integer)
    semi join listed
        on listed.statement = gone.missing_in
        and listed.record_key = new.record_key
),

-- one to one between two lists, so the new line is named together with the list of the old one
replacements_possible as (
    select
        old.record_key as one,
        near.listed_in || '/' || new.record_key as other,
        case
            when new.amount = old.amount and new.posted_on = old.posted_on then 0
            when new.source_id = old.source_id then 100000
            when new.text = old.text and new.posted_on = old.posted_on then 150000
            when new.amount = old.amount then 200000
            else 250000
        end
        + if({{ may_be_one_payee('old', 'new') }}, 0, 20000)
        + 1000 * abs(new.posted_on - old.posted_on)
        + least(abs(new.place - old.place), 999) as cost
    from near_in_time as near
    inner join ranked as old on old.record_key = near.old_key
    inner join ranked as new on new.record_key = near.new_key
    where
        new.currency = old.currency
        and (
            (new.amount = old.amount and new.posted_on = old.posted_on)
            or (new.source_id = old.source_id and abs(new.posted_on - old.posted_on) <= 10)
            -- another amount in the same words: the bank mended it
            or (new.text = old.text and new.text <> '' and new.posted_on = old.posted_on)
            or (
                new.posted_on - old.posted_on between 0 and 5
                and {{ may_be_one_payee('old', 'new') }}
                and (
                    -- posted later than it was announced
                    new.amount = old.amount
                    -- and with the tip
                    or (
                        old.payee is not null and new.payee is not null
                        and {{ with_a_tip('old', 'new') }}
                    )
                )
            )
        )
        -- what stood beside it was another one
        and not exists (
            select 1 from listed as beside
            where beside.statement = near.listed_in and beside.record_key = new.record_key
        )
),

{{ closest_pairs('replaced', 'replacements_possible') }},

-- The same id on another day is the same, also where the lists have no day in common: of one of them
-- day and month were exchanged. An id that is short, or that a list has twice, is counted anew in
-- every file and means nothing.
used_twice as (
    select distinct lines.listing, lines.source_id
    from listed
    inner join lines using (record_key)
    group by lines.listing, lines.source_id, listed.statement
    having count(*) > 1
),

same_id as (
    select old.record_key, new.record_key as is_now
    from ranked as old
    inner join last_listed as before on before.record_key = old.record_key
    inner join ranked as new
        on new.listing = old.listing
        and new.source_id = old.source_id
        and new.amount = old.amount
        and new.currency = old.currency
        and new.text = old.text
        and new.record_key <> old.record_key
    inner join last_listed as later
        on later.record_key = new.record_key
        and later.age > before.age
    anti join used_twice
        on used_twice.listing = old.listing
        and used_twice.source_id = old.source_id
    anti join corrected on corrected.record_key = old.record_key
    anti join replaced on replaced.one = old.record_key
    where len(old.source_id) >= 8
    qualify row_number() over (partition by old.record_key order by later.age desc) = 1
),

steps as (
    select
        one as record_key,
        split_part(other, '/', 2) as is_now,
        case
            when cost < 100000 then 'replaced'
            when cost < 200000 then 'revised'
            when cost < 250000 then 'moved'
            else 'revised'
        end as rule
    from replaced
    union all
    select record_key, is_now, if(is_now is null, 'deleted', 'corrected') from corrected
    union all
    select record_key, is_now, 'same id' from same_id
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

-- 3. Equal amounts of one day and payee in different lists are the same, one by one: as many as
-- the longest list has. Within one list they are different.
clustered as (
    select
        lines.*,
        lines.account_id || '/' || lines.currency || '/' || lines.amount || '/' || lines.posted_on
        || '/' || coalesce(lines.payee, '')
        || '/' || row_number() over (
            partition by
                lines.listing, lines.currency, lines.amount, lines.posted_on, lines.payee
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
        list(distinct transacted_on) filter (where transacted_on is not null) as transacted_on,
        arg_min(payee, record_key) as payee,
        string_agg(letters, ' ' order by record_key) as letters
    from clustered
    group by cluster, account_id, currency, amount, posted_on
),

-- Days on which an amount is found, each at most three days from the next.
amount_days as (
    select distinct account_id, currency, amount, posted_on
    from clusters
),

stretches as (
    {{ stretches('amount_days', 'posted_on', 'account_id, currency, amount', 3) }}
),

-- 4. Formats differ in their words, and in the day: one tells when it was paid, another when it was
-- posted. On different days both are one only where one list covers the other's day and lacks it
-- there, and never where the texts name two payees.
formats as (
    select account_id, count(distinct listing) as listings
    from lines
    group by account_id
),

covered as (
    select
        clusters.cluster,
        list(distinct statements.listing) as covering
    from clusters
    inner join {{ ref('account_links') }} as links using (account_id)
    inner join statements
        on statements.listing = links.account_reference
        and clusters.posted_on between statements.starts_on and statements.whole_until
    group by clusters.cluster
),

lonely as (
    select clusters.*, stretches.stretch, coalesce(covered.covering, []) as covering
    from clusters
    inner join formats using (account_id)
    inner join stretches using (account_id, currency, amount, posted_on)
    left join covered using (cluster)
    where len(clusters.listings) < formats.listings
),

near_possible as (
    select
        a.cluster as one,
        b.cluster as other,
        case
            when coalesce(list_contains(a.transacted_on, b.posted_on), false)
                or coalesce(list_contains(b.transacted_on, a.posted_on), false) then 0
            else abs(a.posted_on - b.posted_on)
        end
        -- of two that are as near, the one with the same name
        + if(a.payee = b.payee, 0.0, 0.5) as cost
    from lonely as a
    inner join lonely as b on {{ may_be_one_transaction() }}
    where
        abs(a.posted_on - b.posted_on) <= 3
        or coalesce(list_contains(a.transacted_on, b.posted_on), false)
        or coalesce(list_contains(b.transacted_on, a.posted_on), false)
),

{{ closest_pairs('near', 'near_possible') }},

-- What is paid each day and posted on the next: all but the first and the last of a row of days
-- find one of their own day, and these two are what is left.
left_over as (
    select *
    from lonely
    anti join near on near.one = lonely.cluster
),

ends_possible as (
    select a.cluster as one, b.cluster as other, abs(a.posted_on - b.posted_on) as cost
    from left_over as a
    inner join left_over as b on {{ may_be_one_transaction() }}
    where a.stretch = b.stretch and a.payee = b.payee
),

{{ closest_pairs('row_ends', 'ends_possible') }},

merged as (
    select
        clustered.*,
        least(clustered.cluster, coalesce(near.other, clustered.cluster)) as near_cluster
    from clustered
    left join (select * from near union all select * from row_ends) as near
        on near.one = clustered.cluster
),

-- 5. What is left of one day and amount is the same in whatever words, again one by one: those that
-- most lists have come first.
dated as (
    select
        *,
        first_value(posted_on) over (
            partition by near_cluster order by feed <> 'ofx', feed, posted_on, record_key
        ) as near_on,
        count(*) over (partition by near_cluster) as lists
    from merged
),

placed as (
    select
        *,
        max(place) over (partition by near_cluster) as near_place
    from (
        select
            *,
            row_number() over (
                partition by listing, currency, amount, near_on
                order by lists desc, near_cluster
            ) as place
        from dated
    )
),

whole as (
    select
        *,
        if(
            count(*) over (
                partition by account_id, currency, amount, near_on, near_place
            ) = count(distinct listing) over (
                partition by account_id, currency, amount, near_on, near_place
            ),
            account_id || '/' || currency || '/' || amount || '/' || near_on || '/' || near_place,
            near_cluster
        ) as whole_cluster
    from placed
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
    from whole
),

-- 6. What was pending ends: it is posted, or a later list of its day lacks it, or a list still has
-- it two weeks later, and then it is meant to stay.
pending_possible as (
    select
        pending.record_key as one,
        -- one to one within each list
        pending.listing || '/' || standing.transaction_id as other,
        min(
            case
                when standing.source_id = pending.source_id and standing.listing = pending.listing
                    then 0
                when standing.amount = pending.amount then 1000
                else 2000
            end
            + if({{ may_be_one_payee('pending', 'standing') }}, 0, 500)
            + abs(standing.posted_on - pending.posted_on)
        ) as cost
    from lines as pending
    inner join standing
        on standing.account_id = pending.account_id
        and standing.currency = pending.currency
        and standing.posted_on - pending.posted_on between -1 and 10
    where
        pending.is_pending
        and (
            (standing.source_id = pending.source_id and standing.listing = pending.listing)
            or standing.amount = pending.amount
            or (
                pending.payee is not null and standing.payee is not null
                and {{ may_be_one_payee('pending', 'standing') }}
                and {{ with_a_tip('pending', 'standing') }}
            )
        )
    group by pending.record_key, pending.listing, standing.transaction_id
),

{{ closest_pairs('posted', 'pending_possible') }},

never_posted as (
    select
        lines.*,
        exists (
            select 1
            from statements as later
            where
                later.listing = lines.listing
                and later.age > last_listed.age
                and lines.posted_on between later.starts_on and later.ends_on
        ) as is_missed,
        coalesce(last_listed.ends_on - lines.posted_on >= 14, false) as is_old
    from lines
    left join last_listed using (record_key)
    anti join posted on posted.one = lines.record_key
    where lines.is_pending
),

pending_ends as (
    select one as record_key, split_part(other, '/', 2) as transaction_id, 'pending' as rule
    from posted
    union all
    select record_key, null, if(is_missed, 'lapsed', 'open')
    from never_posted
    where is_missed or not is_old
    union all
    select
        record_key,
        first_value(record_key) over (
            partition by account_id, currency, amount, posted_on, place
            order by feed <> 'ofx', feed, record_key
        ),
        'stands'
    from (
        select
            *,
            row_number() over (
                partition by listing, currency, amount, posted_on order by text, record_key
            ) as place
        from never_posted
        where is_old and not is_missed
    )
)

select
    lines.record_key,
    lines.lake_file,
    lines.account_id,
    lines.feed,
    lines.posted_on,
    lines.amount,
    nullif(lines.currency, '') as currency,
    coalesce(standing.transaction_id, pending_ends.transaction_id) as transaction_id,
    case
        when pending_ends.rule = 'stands' and pending_ends.transaction_id <> lines.record_key
            then 'same day'
        when lines.is_pending then pending_ends.rule
        when lines.correction = 'DELETE' then 'deleted'
        when steps.rule is not null then steps.rule
        when standing.transaction_id = lines.record_key then 'stands'
        when standing.stands_on = lines.posted_on then 'same day'
        else 'near day'
    end as rule,
    case
        when pending_ends.rule = 'open'
            then 'it was pending, and no statement has it as posted yet: not counted'
        when pending_ends.rule = 'lapsed'
            then 'it was pending; a later list of its day lacks it, and nothing like it was posted: '
                || 'not counted'
        when pending_ends.rule = 'pending'
            then 'it was pending; its id, its amount, or that with a tip, was posted within ten days'
        when pending_ends.rule = 'stands'
            then 'a list still calls it pending two weeks later, and nothing like it was posted: '
                || 'counted'
        when lines.correction = 'DELETE' or steps.rule = 'deleted'
            then 'the bank deleted it by a later correction'
        when steps.rule = 'corrected' then 'the bank replaced it by a later correction'
        when steps.rule = 'replaced'
            then 'a later list of the same days lacks it, and has its amount on its day instead'
        when steps.rule = 'revised'
            then 'a later list of the same days lacks it, and has its id or its text instead, with '
                || 'another amount or day'
        when steps.rule = 'same id'
            then 'a later list has its id, amount and text, on another day'
        when steps.rule = 'moved'
            then 'a later list of the same days lacks it, and has its amount up to five days later'
        when standing.transaction_id = lines.record_key then 'it stands for the transaction'
        when standing.stands_on = lines.posted_on
            then 'another format of the same account has its amount on its day'
        else 'another format of the same account has its amount, within three days, on the day of '
            || 'payment, or at the end of a row of equal amounts'
    end as reason
from lines
left join ends using (record_key)
left join standing on standing.record_key = ends.line
left join pending_ends on pending_ends.record_key = lines.record_key
left join steps on steps.record_key = lines.record_key
