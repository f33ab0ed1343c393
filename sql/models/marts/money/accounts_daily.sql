-- A balance is known where a statement tells it, and as far from there, forth and back, as
-- statements list every transaction. Where no statement covers a day nothing is carried over.
with links as (
    select account_reference, account_id from {{ ref('account_links') }}
),

-- of several balances of a day, the ledger's of OFX is the one that the bank signs
stated as (
    select
        links.account_id,
        coalesce(balances.currency, accounts.currency, 'unknown') as currency,
        balances.day,
        balances.balance
    from {{ ref('int_balances') }} as balances
    inner join links using (account_reference)
    inner join {{ ref('accounts') }} as accounts on accounts.account_id = links.account_id
    qualify row_number() over (
        partition by
            links.account_id,
            coalesce(balances.currency, accounts.currency, 'unknown'),
            balances.day
        order by balances.kind, balances.feed <> 'ofx', balances.record_key
    ) = 1
),

moved as (
    select
        account_id,
        currency,
        posted_on as day,
        sum(amount) as change,
        sum(amount) filter (where amount > 0) as money_in,
        -sum(amount) filter (where amount < 0) as money_out,
        count(*) as transactions
    from {{ ref('transactions') }}
    group by account_id, currency, posted_on
),

covered as (
    select distinct
        links.account_id,
        cast(
            unnest(generate_series(statements.starts_on, statements.ends_on, interval 1 day))
            as date
        ) as day
    from {{ ref('int_statements') }} as statements
    inner join links using (account_reference)
    where statements.starts_on <= statements.ends_on
),

seen as (
    select account_id, currency, day from stated
    union all
    select account_id, currency, day from moved
),

spans as (
    select
        account_id,
        currency,
        cast(unnest(generate_series(min(day), max(day), interval 1 day)) as date) as day
    from (
        select account_id, currency, day from seen
        union all
        select covered.account_id, held.currency, covered.day
        from covered
        inner join (select distinct account_id, currency from seen) as held using (account_id)
    )
    group by account_id, currency
),

days as (
    select
        spans.account_id,
        spans.currency,
        spans.day,
        covered.day is not null as is_covered,
        stated.balance as stated_balance,
        coalesce(moved.money_in, 0) as money_in,
        coalesce(moved.money_out, 0) as money_out,
        coalesce(moved.transactions, 0) as transactions,
        sum(coalesce(moved.change, 0)) over (
            partition by spans.account_id, spans.currency order by spans.day
        ) as moved_so_far,
        -- a stretch of days ends where a day is neither covered nor stated
        sum(if(covered.day is null and stated.day is null, 1, 0)) over (
            partition by spans.account_id, spans.currency order by spans.day
        ) as stretch
    from spans
    left join covered using (account_id, day)
    left join stated using (account_id, currency, day)
    left join moved using (account_id, currency, day)
),

-- what an account held before its first day, as each statement would have it
opened as (
    select *, stated_balance - moved_so_far as opening
    from days
),

carried as (
    select
        *,
        last_value(opening ignore nulls) over (
            partition by account_id, currency, stretch order by day
        ) as opening_before,
        first_value(opening ignore nulls) over (
            partition by account_id, currency, stretch order by day
            rows between current row and unbounded following
        ) as opening_after,
        last_value(opening ignore nulls) over (
            partition by account_id, currency order by day
            rows between unbounded preceding and 1 preceding
        ) as opening_last_stated
    from opened
)

select
    {{ month_of('day') }} as month,
    carried.account_id,
    accounts.name as account,
    carried.day,
    carried.currency,
    cast(
        case
            when carried.stated_balance is not null then carried.stated_balance
            when carried.is_covered
                then coalesce(carried.opening_before, carried.opening_after) + carried.moved_so_far
        end
        as decimal(38, 18)
    ) as balance,
    case
        when carried.stated_balance is not null then 'stated'
        when not carried.is_covered then 'gap'
        when carried.opening_before is not null then 'carried'
        when carried.opening_after is not null then 'counted back'
        else 'unknown'
    end as balance_from,
    carried.stated_balance,
    cast(carried.opening - carried.opening_last_stated as decimal(38, 18)) as difference,
    carried.is_covered,
    cast(carried.money_in as decimal(38, 18)) as money_in,
    cast(carried.money_out as decimal(38, 18)) as money_out,
    carried.transactions
from carried
left join {{ ref('accounts') }} as accounts using (account_id)
where {{ partition_window(month_of('day')) }}
