select
    {{ selected_sample_columns() }}
from {{ lake_table('fit', 'recording_samples', sample_columns()) }}
where {{ partition_window('month') }}
