with members as (
    select
        merges.transaction_id,
        merges.account_id,
        merges.rule,
        merges.currency as account_currency,
        lines.*
    from {{ ref('transaction_merges') }} as merges
    inner join {{ ref('stg_bank__transactions') }} as lines using (record_key)
    where merges.transaction_id is not null
),

-- fields that the standing line lacks are taken from the others
known as (
    select
        transaction_id,
        account_id,
        min(posted_on) filter (where rule = 'stands') as posted_on,
        coalesce(
            min(transacted_on) filter (where rule = 'stands'), min(transacted_on)
        ) as transacted_on,
        min(amount) filter (where rule = 'stands') as amount,
        min(account_currency) as currency,
        coalesce(
            min(nullif(description, '')) filter (where rule = 'stands'),
            min(nullif(description, ''))
        ) as description,
        coalesce(min(memo) filter (where rule = 'stands'), min(memo)) as memo,
        coalesce(
            min(bank_category) filter (where rule = 'stands'), min(bank_category)
        ) as bank_category,
        coalesce(
            min(check_number) filter (where rule = 'stands'), min(check_number)
        ) as check_number,
        string_agg(text, ' ' order by record_key) as text,
        count(*) as lines,
        list_sort(list_distinct(list(feed))) as feeds
    from members
    group by transaction_id, account_id
),

fitting as (
    select
        known.transaction_id,
        arg_min(rules.category, rules.position) as category,
        arg_min(rules.is_transfer, rules.position) as is_transfer
    from known
    inner join {{ ref('stg_bank__categories') }} as rules
        on rules.kind = 'rule'
        and len(list_filter(rules.words, lambda word: contains(known.text, word))) > 0
    group by known.transaction_id
),

-- opposite amounts on two accounts of the person, unless a rule says that it is none
transfers_possible as (
    select
        sent.transaction_id as one,
        received.transaction_id as other,
        abs(received.posted_on - sent.posted_on) as cost
    from known as sent
    inner join known as received
        on received.amount = -sent.amount
        and received.account_id <> sent.account_id
        and received.currency is not distinct from sent.currency
        and abs(received.posted_on - sent.posted_on) <= 5
    left join fitting as sent_rule on sent_rule.transaction_id = sent.transaction_id
    left join fitting as received_rule on received_rule.transaction_id = received.transaction_id
    where
        sent.amount < 0
        and coalesce(sent_rule.is_transfer, true)
        and coalesce(received_rule.is_transfer, true)
),

{{ closest_pairs('pairs', 'transfers_possible') }},

transfers as (
    select one as transaction_id, other as transfer_with from pairs
    union all
    select other, one from pairs
)

select
    {{ month_of('known.posted_on') }} as month,
    known.transaction_id,
    known.account_id,
    accounts.name as account,
    known.posted_on,
    known.transacted_on,
    known.amount,
    coalesce(known.currency, 'unknown') as currency,
    known.description,
    known.memo,
    known.check_number,
    case
        when fitting.is_transfer or transfers.transfer_with is not null then 'transfer'
        when known.amount < 0 then 'spending'
        when known.amount > 0 then 'income'
        else 'none'
    end as kind,
    coalesce(
        fitting.category,
        case when transfers.transfer_with is not null then 'Transfer' end,
        known.bank_category
    ) as category,
    case
        when fitting.category is not null then 'rule'
        when transfers.transfer_with is not null then 'transfer'
        when known.bank_category is not null then 'bank'
    end as category_from,
    transfers.transfer_with,
    known.feeds,
    known.lines
from known
left join fitting using (transaction_id)
left join transfers using (transaction_id)
left join {{ ref('accounts') }} as accounts on accounts.account_id = known.account_id
where {{ partition_window(month_of('known.posted_on')) }}
