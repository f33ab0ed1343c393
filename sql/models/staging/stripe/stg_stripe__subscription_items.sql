with records as (
    select * from {{ lake_days('stripe', 'subscriptions') }}
    where {{ partition_window('month') }}
)

select * from (
    {{ subscription_items('records') }}
)
