{# What a subscription of Stripe is, of `record`: as it is now, or as it was seen. #}
{% macro subscription_columns() -%}
record ->> 'status' as status,
    {{ reference('customer') }} as customer_id,
    lower(
        coalesce(
            record ->> 'currency',
            record ->> '$.items.data[0].price.currency',
            record ->> '$.items.data[0].plan.currency',
            record ->> '$.plan.currency'
        )
    ) as currency,
    {{ utc_from_epoch("record ->> 'created'") }} as created_at,
    {{ utc_from_epoch("coalesce(record ->> 'start_date', record ->> 'created')") }} as started_at
{%- endmacro %}
