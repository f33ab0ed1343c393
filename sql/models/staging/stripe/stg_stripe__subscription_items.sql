with records as (
    select * from {{ lake('stripe', 'subscriptions') }}
    where {{ partition_window('day') }}
)

select * from (
    {{ subscription_items('records') }}
)
