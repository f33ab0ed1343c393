with records as (
    select * from {{ lake('stripe', 'subscription_states') }}
    where {{ partition_window('day') }}
)

select * from (
    {{ subscription_items('records') }}
)
