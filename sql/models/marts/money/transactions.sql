with recursive members as (
    select
        merges.transaction_id,
        merges.account_id,
        merges.rule,
        merges.currency as account_currency,
        lines.*
    from {{ ref('transaction_merges') }} as merges
    inner join {{ ref('int_transactions') }} as lines using (record_key)
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
        lower(coalesce(min(kind) filter (where rule = 'stands'), min(kind), '')) as line_kind,
        string_agg(text, ' ' order by record_key) as text,
        count(*) as lines,
        list_sort(list_distinct(list(feed))) as feeds,
        min(source) as source,
        min(record_key) filter (where rule = 'stands') as record_key,
        min(lake_file) filter (where rule = 'stands') as lake_file
    from members
    group by transaction_id, account_id
),

fitting as (
    select
        known.transaction_id,
        arg_min(rules.category, rules.position) as category,
        arg_min(rules.is_transfer, rules.position) as is_transfer
    from known
    inner join {{ ref('int_category_rules') }} as rules
        on len(list_filter(rules.words, lambda word: contains(known.text, word))) > 0
    group by known.transaction_id
),

-- what kind of account a line stands on, what kind of line it is, and what its words say
hinted as (
    select
        known.*,
        accounts.kind as account_kind,
        accounts.bank,
        fitting.is_transfer as is_transfer_by_rule,
        coalesce(
            regexp_matches(known.line_kind, '^((buy|sell)(stock|mf|debt|opt|other)|closureopt|retofcap)$')
            or (
                accounts.kind = 'broker'
                and {{ says_trade("known.line_kind || ' ' || known.text") }}
                -- a dividend that is put into shares again came in all the same
                and not (known.amount > 0 and {{ says_yield("known.line_kind || ' ' || known.text") }})
                and not {{ says_yield('known.line_kind') }}
            ),
            false
        ) as is_trade,
        known.line_kind = 'xfer' or {{ says_transfer("known.line_kind || ' ' || known.text") }}
            as says_transfer,
        {{ says_payment("known.line_kind || ' ' || known.text") }} as says_payment,
        {{ says_given_back('known.text') }} as says_given_back,
        {{ says_stranger('known.text') }}
            or known.line_kind in (
                'pos', 'fee', 'srvchg', 'int', 'div', 'sale', 'return', 'refund', 'purchase',
                'interest', 'income', 'invexpense'
            ) as says_stranger
    from known
    left join fitting using (transaction_id)
    left join {{ ref('accounts') }} as accounts on accounts.account_id = known.account_id
),

-- Opposite amounts on two accounts of the person are a coincidence until something says that money
-- moved: the person's rule, words on either side, or a card or broker on one side.
opposite as (
    select
        sent.transaction_id as sent_id,
        received.transaction_id as received_id,
        sent.currency,
        received.amount,
        least(sent.account_id, received.account_id) as one_account,
        greatest(sent.account_id, received.account_id) as other_account,
        sent.posted_on as sent_on,
        received.posted_on as received_on,
        coalesce(sent.is_transfer_by_rule, false)
            or sent.says_transfer
            or sent.account_kind = 'broker'
            or {{ names_bank_of('sent', 'received') }} as sent_says,
        coalesce(received.is_transfer_by_rule, false)
            or received.says_transfer
            or received.account_kind = 'broker'
            or {{ names_bank_of('received', 'sent') }} as received_says,
        sent.says_payment as is_payment_sent,
        received.says_payment as is_payment_received,
        received.account_kind = 'card' as is_to_card,
        -- "credit" alone is what shops give back; "payment credit" is a bill that is paid
        received.says_given_back
            and not received.says_payment
            and received.is_transfer_by_rule is null as is_given_back,
        coalesce(received.is_transfer_by_rule or sent.is_transfer_by_rule, false) as is_by_rule,
        (sent.says_stranger and sent.is_transfer_by_rule is null)
            or (received.says_stranger and received.is_transfer_by_rule is null) as is_strange
    from hinted as sent
    inner join hinted as received
        on received.amount = -sent.amount
        and received.account_id <> sent.account_id
        and received.currency is not distinct from sent.currency
        and abs(received.posted_on - sent.posted_on) <= 31
    where
        sent.amount < 0
        and not sent.is_trade
        and not received.is_trade
        -- the person's rule says that it is none
        and coalesce(sent.is_transfer_by_rule, true)
        and coalesce(received.is_transfer_by_rule, true)
),

judged as (
    select
        *,
        not is_strange
        and case
            when is_by_rule then true
            -- a word like "transfer" or "payment" on the side of the bank alone may mean anybody:
            -- what came in on the card must say that it is the bill
            when is_to_card then not is_given_back and (is_payment_received or received_says)
            else sent_says or received_says or (is_payment_sent and is_payment_received)
        end as is_likely,
        abs(received_on - sent_on) as days
    from opposite
),

likely_days as (
    select one_account, other_account, currency, amount, sent_on as day
    from judged
    where is_likely
    union
    select one_account, other_account, currency, amount, received_on
    from judged
    where is_likely
),

-- the same amount again and again, each at most five days from the next
moving_days as (
    {{ stretches('likely_days', 'day', 'one_account, other_account, currency, amount', 5) }}
),

transfers_possible as (
    select
        judged.sent_id as one,
        judged.received_id as other,
        judged.days
        + if(
            (judged.sent_says or judged.is_payment_sent)
            and (judged.received_says or judged.is_payment_received),
            0.0,
            0.5
        ) as cost
    from judged
    left join moving_days as sent
        on sent.one_account = judged.one_account
        and sent.other_account = judged.other_account
        and sent.currency is not distinct from judged.currency
        and sent.amount = judged.amount
        and sent.day = judged.sent_on
    left join moving_days as received
        on received.one_account = judged.one_account
        and received.other_account = judged.other_account
        and received.currency is not distinct from judged.currency
        and received.amount = judged.amount
        and received.day = judged.received_on
    where judged.is_likely and (judged.days <= 5 or sent.stretch = received.stretch)
),

{{ closest_pairs('pairs', 'transfers_possible') }},

transfers as (
    select one as transaction_id, other as transfer_with from pairs
    union all
    select other, one from pairs
),

-- nothing says that money moved, and nothing says that it did not: the person is asked
perhaps_possible as (
    select sent_id as one, received_id as other, days as cost
    from judged
    anti join pairs as sent on sent.one = judged.sent_id
    anti join pairs as received on received.other = judged.received_id
    where days <= 5 and not is_likely and not is_strange
),

{{ closest_pairs('perhaps', 'perhaps_possible') }},

asked as (
    select one as transaction_id, other as perhaps_with from perhaps
    union all
    select other, one from perhaps
),

kinds as (
    select
        hinted.transaction_id,
        case
            when hinted.is_transfer_by_rule or transfers.transfer_with is not null then 'transfer'
            when hinted.is_trade then 'trade'
            -- what comes in on a card is its bill that is paid, or something that was given back
            when hinted.amount > 0
                and hinted.account_kind = 'card'
                and hinted.says_payment
                and not hinted.says_stranger
                and hinted.is_transfer_by_rule is null then 'transfer'
            when hinted.amount < 0 then 'spending'
            when hinted.amount > 0 then 'income'
            else 'none'
        end as kind
    from hinted
    left join transfers using (transaction_id)
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
    kinds.kind,
    coalesce(
        fitting.category,
        case when kinds.kind = 'transfer' then 'Transfer' end,
        known.bank_category
    ) as category,
    case
        when fitting.category is not null then 'rule'
        when kinds.kind = 'transfer' then 'transfer'
        when known.bank_category is not null then 'bank'
    end as category_from,
    transfers.transfer_with,
    asked.perhaps_with,
    known.feeds,
    known.lines,
    known.source,
    known.record_key,
    known.lake_file
from known
inner join kinds using (transaction_id)
left join fitting using (transaction_id)
left join transfers using (transaction_id)
left join asked using (transaction_id)
left join {{ ref('accounts') }} as accounts on accounts.account_id = known.account_id
where {{ partition_window(month_of('known.posted_on')) }}
