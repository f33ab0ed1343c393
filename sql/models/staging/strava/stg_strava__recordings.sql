with records as (
    select * from {{ lake('strava', 'recordings') }}
    where {{ partition_window('month') }}
)

select
    {{ recording_columns() }}
from records
