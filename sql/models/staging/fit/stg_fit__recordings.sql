with records as (
    select * from {{ lake('fit', 'recordings') }}
    where {{ partition_window('month') }}
)

select
    {{ recording_columns() }}
from records
