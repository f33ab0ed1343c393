{# The items of Stripe's subscriptions, each with what it brings a month. `records` is a relation
   with the columns of the lake: subscriptions as they are, or as they were. #}
{% macro subscription_items(records) -%}
with items as (
    select
        month,
        day,
        key as record_key,
        lake_file,
        record,
        json_array_length(record, '$.items.data') as item_count,
        unnest(record -> '$.items.data[*]') as item
    from {{ records }}
),

-- a price since 2020, a plan before; some servers send both, the price is the newer truth
priced as (
    select
        month,
        day,
        record_key,
        lake_file,
        record,
        item,
        item_count,
        record ->> 'id' as subscription_id,
        item ->> 'id' as item_id,
        coalesce(item ->> '$.price.id', item ->> '$.plan.id') as price_id,
        coalesce(
            item ->> '$.price.product.id',
            item ->> '$.price.product',
            item ->> '$.plan.product.id',
            item ->> '$.plan.product'
        ) as product_id,
        lower(
            coalesce(
                item ->> '$.price.currency', item ->> '$.plan.currency', record ->> 'currency'
            )
        ) as currency,
        coalesce(item ->> '$.price.unit_amount', item ->> '$.plan.amount') as unit_amount,
        -- a price below one cent is only here
        coalesce(
            item ->> '$.price.unit_amount_decimal',
            item ->> '$.price.unit_amount',
            item ->> '$.plan.amount_decimal',
            item ->> '$.plan.amount'
        ) as unit_amount_decimal,
        coalesce(item ->> '$.price.recurring.interval', item ->> '$.plan.interval') as interval,
        coalesce(
            item ->> '$.price.recurring.interval_count', item ->> '$.plan.interval_count'
        ) as interval_count,
        coalesce(
            item ->> '$.price.recurring.usage_type', item ->> '$.plan.usage_type'
        ) as usage_type
    from items
),

-- discounts that the record holds in full; an id alone says nothing of their size
discounts as (
    select day, record_key, item_id, item_count, unnest(record -> '$.discounts[*]') as discount
    from priced
    union all
    select day, record_key, item_id, item_count, record -> '$.discount' as discount
    from priced
    union all
    select day, record_key, item_id, 1 as item_count, unnest(item -> '$.discounts[*]') as discount
    from priced
),

coupons as (
    select
        day,
        record_key,
        item_id,
        item_count,
        coalesce(discount -> '$.coupon', discount -> '$.source.coupon') as coupon
    from discounts
),

reductions as (
    select
        day,
        record_key,
        item_id,
        product(1 - coalesce(try_cast(coupon ->> 'percent_off' as double), 0) / 100) as factor,
        -- an amount off the whole invoice is shared by its items
        sum(
            try_cast(
                coalesce(try_cast(coupon ->> 'amount_off' as bigint), 0) / item_count
                as decimal(18, 3)
            )
        ) as amount_off_minor
    from coupons
    where coalesce(coupon ->> 'duration', '') <> 'once'
    group by day, record_key, item_id
),

typed as (
    select
        priced.month,
        priced.day,
        priced.record_key,
        priced.lake_file,
        priced.item_id,
        priced.subscription_id,
        {{ utc_from_epoch("item ->> 'created'") }} as created_at,
        {{ utc_from_epoch(
            "coalesce(item ->> 'current_period_start', record ->> 'current_period_start')"
        ) }} as current_period_starts_at,
        {{ utc_from_epoch(
            "coalesce(item ->> 'current_period_end', record ->> 'current_period_end')"
        ) }} as current_period_ends_at,
        priced.price_id,
        priced.product_id,
        priced.usage_type,
        priced.interval,
        try_cast(priced.interval_count as bigint) as interval_count,
        coalesce(try_cast(item ->> 'quantity' as bigint), 1) as quantity,
        priced.currency,
        try_cast(priced.unit_amount as bigint) as unit_amount_minor,
        case
            when priced.usage_type = 'metered' then 0
            -- greatest() would turn an unknown price into 0
            when try_cast(priced.unit_amount_decimal as double) is not null
                then greatest(
                    try_cast(priced.unit_amount_decimal as double)
                    * coalesce(try_cast(item ->> 'quantity' as bigint), 1)
                    * coalesce(reductions.factor, 1)
                    - coalesce(reductions.amount_off_minor, 0),
                    0
                )
        end as invoice_amount_minor
    from priced
    left join reductions using (day, record_key, item_id)
),

monthly as (
    select
        * exclude (invoice_amount_minor),
        try_cast(
            invoice_amount_minor * case interval
                when 'month' then 1
                when 'year' then 1 / 12
                when 'week' then 52 / 12
                when 'day' then 365 / 12
            end / nullif(interval_count, 0) as decimal(18, 3)
        ) as mrr_minor
    from typed
)

select
    *,
    {{ minor_to_major('unit_amount_minor', 'currency') }} as unit_amount,
    {{ minor_to_major('mrr_minor', 'currency') }} as mrr
from monthly
{%- endmacro %}
