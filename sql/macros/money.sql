{# Stripe's integer amounts in whole units of the currency. Currencies without decimals are not
   multiplied by 100, five have thousandths (docs.stripe.com/currencies). Not in the first list,
   though it has no decimals: UGX, which like ISK is still sent with two. Null when the currency
   is unknown. #}
{% macro minor_to_major(amount_minor, currency) -%}
    try_cast(
        {{ amount_minor }} * case
            when {{ currency }} in (
                'bif', 'clp', 'djf', 'gnf', 'jpy', 'kmf', 'krw', 'mga', 'pyg', 'rwf', 'vnd',
                'vuv', 'xaf', 'xof', 'xpf'
            ) then 1.000
            when {{ currency }} in ('bhd', 'jod', 'kwd', 'omr', 'tnd') then 0.001
            when {{ currency }} is not null then 0.010
        end
        as decimal(18, 3)
    )
{%- endmacro %}


{# The currency of the line a day, as an SQL string; PIPELINE_CURRENCY, else US dollars. #}
{% macro home_currency() -%}
    {%- if execute -%}
        '{{ env_var('PIPELINE_CURRENCY', 'usd') | lower }}'
    {%- else -%}
        'usd'
    {%- endif -%}
{%- endmacro %}
