select
    day,
    'kit' as source,
    record_key,
    lake_file,
    state,
    cast(created_at as date) as joined_on,
    case
        when state <> 'active' then cast(coalesce(canceled_at, updated_at) as date)
    end as left_on
from {{ ref('stg_kit__subscribers') }}
