with records as (
    select * from {{ lake_days('stripe', 'subscription_states') }}
    where {{ partition_window('month') }}
)

select * from (
    {{ subscription_items('records') }}
)
