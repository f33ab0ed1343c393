-- Which accounts of different formats are one. Nothing is joined on a guess: of two accounts that
-- could be meant, neither is taken.
with told as (
    select
        *,
        -- the more of the number a format tells, the lower
        case
            when is_whole and feed = 'ofx' then 0
            when is_whole then 1
            when last4 is not null then 2
            else 3
        end as vagueness,
        case when told_by = 'the folder' then folder end as told_folder,
        list(folder) over (partition by account_reference) as folders
    from {{ ref('int_accounts') }}
    qualify
        row_number() over (partition by account_reference order by month desc, record_key) = 1
),

candidates as (
    select
        vague.account_reference,
        clear.account_reference as is_also,
        clear.vagueness
    from told as vague
    inner join told as clear
        on clear.vagueness < vague.vagueness
        -- within a format only what the person put into a folder can be another one's
        and (
            clear.feed <> vague.feed
            or (vague.told_by = 'the folder' and clear.told_by = 'the file')
        )
        and (
            clear.last4 = vague.last4
            -- the person put both into one folder
            or (vague.last4 is null and list_contains(clear.folders, vague.told_folder))
        )
        and (clear.number_digest = vague.number_digest or not vague.is_whole)
        -- a file without the bank's name does not contradict
        and (clear.bank = vague.bank or clear.bank is null or vague.bank is null)
        and (clear.kind = vague.kind or 'ledger' in (clear.kind, vague.kind))
        and coalesce(clear.currency = vague.currency, true)
    -- only the clearest of them
    qualify clear.vagueness = min(clear.vagueness) over (partition by vague.account_reference)
),

chosen as (
    select account_reference, min(is_also) as is_also
    from candidates
    group by account_reference
    having count(*) = 1
),

-- two formats that both hide the number, of the same bank
masked as (
    select
        account_reference,
        min(account_reference) over (partition by bank, last4, kind) as is_also
    from told
    anti join candidates using (account_reference)
    where vagueness = 2 and bank is not null
    qualify
        count(distinct feed) over (partition by bank, last4, kind)
        = count(*) over (partition by bank, last4, kind)
        and count(*) over (partition by bank, last4, kind) > 1
),

-- formats that tell nothing but that they lay in one folder
together as (
    select
        account_reference,
        min(account_reference) over (partition by told_folder, kind) as is_also
    from told
    anti join candidates using (account_reference)
    where vagueness = 3 and told_folder is not null
    qualify count(*) over (partition by told_folder, kind) > 1
),

found as (
    select
        told.account_reference,
        coalesce(
            chosen.is_also, masked.is_also, together.is_also, told.account_reference
        ) as is_also,
        case
            when chosen.is_also is not null and told.is_whole then 'number'
            when together.is_also is not null then 'folder'
            when chosen.is_also is not null and told.last4 is null then 'folder'
            when coalesce(chosen.is_also, masked.is_also) is not null then 'last digits'
            else 'itself'
        end as linked_by
    from told
    left join chosen using (account_reference)
    left join masked using (account_reference)
    left join together using (account_reference)
),

-- what a link leads to may itself be linked
automatic as (
    select
        found.account_reference,
        substr(coalesce(further.is_also, found.is_also), 1, 12) as account_id,
        found.linked_by
    from found
    left join found as further on further.account_reference = found.is_also
),

named as (
    select
        account_id,
        account_name,
        min(account_id) over (partition by account_name) as one_id
    from {{ ref('int_account_names') }}
)

select
    automatic.account_reference,
    coalesce(named.one_id, automatic.account_id) as account_id,
    case
        when named.one_id <> automatic.account_id then 'categories.yaml'
        else automatic.linked_by
    end as linked_by,
    named.account_name
from automatic
left join named using (account_id)
