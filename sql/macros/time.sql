{# Times are TIMESTAMP in UTC (columns named *_at). A value that is no time gives null. #}

{% macro utc_from_epoch(seconds) -%}
    try(make_timestamp(try_cast({{ seconds }} as bigint) * 1000000))
{%- endmacro %}


{% macro utc_from_epoch_ms(milliseconds) -%}
    try(make_timestamp(try_cast({{ milliseconds }} as bigint) * 1000))
{%- endmacro %}


{# By way of TIMESTAMPTZ: a cast of text straight to TIMESTAMP drops the offset. #}
{% macro utc_from_text(text) -%}
    timezone('UTC', try_cast({{ text }} as timestamptz))
{%- endmacro %}


{% macro month_of(day) -%}
    cast(date_trunc('month', {{ day }}) as date)
{%- endmacro %}
