with told as (
    select links.account_id, links.account_name, accounts.*
    from {{ ref('int_accounts') }} as accounts
    inner join {{ ref('account_links') }} as links using (account_reference)
),

-- a program that keeps books knows least of the bank
described as (
    select
        account_id,
        max(account_name) as given_name,
        arg_min(title, (kind = 'ledger', feed <> 'ofx', feed, account_reference)) as title,
        arg_min(name, (kind = 'ledger', feed, account_reference)) as told_name,
        arg_min(last4, (not is_whole, feed, account_reference)) as last4,
        arg_min(kind, (kind = 'ledger', feed <> 'ofx', feed, account_reference)) as kind,
        arg_min(bank, (feed, account_reference)) as bank,
        arg_min(currency, (feed <> 'ofx', feed, account_reference)) as currency,
        list_sort(list_distinct(list(feed))) as feeds,
        bool_or(told_by like 'nothing%') as is_account_guessed
    from told
    group by account_id
),

spans as (
    select
        links.account_id,
        min(statements.starts_on) as first_day,
        max(statements.ends_on) as last_day
    from {{ ref('int_statements') }} as statements
    inner join {{ ref('account_links') }} as links using (account_reference)
    group by links.account_id
)

select
    described.account_id,
    coalesce(
        described.given_name,
        described.title || ' …' || described.last4,
        described.title || ' (' || described.told_name || ')',
        described.title
    ) as name,
    described.kind,
    described.bank,
    described.currency,
    described.feeds,
    described.is_account_guessed,
    spans.first_day,
    spans.last_day
from described
left join spans using (account_id)
