-- of several answers that lie within a month, the one that covers most of it
select
    month,
    'medium' as source,
    record_key,
    lake_file,
    followers_gained,
    subscribers_gained
from {{ ref('stg_medium__account_stats') }}
where shape = 'range' and {{ month_of('ends_on') }} = month
qualify row_number() over (
    partition by month order by ends_on - starts_on desc, ends_on desc
) = 1
