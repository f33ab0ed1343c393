{# Keys that a table has twice, or that are not complete. Without columns, those of staging. #}
{% test unique_key(model, columns=['month', 'record_key']) %}
    select
        {{ columns | join(', ') }},
        count(*) as row_count
    from {{ model }}
    group by {{ columns | join(', ') }}
    having
        count(*) > 1
        {%- for column in columns %}
        or {{ column }} is null
        {%- endfor %}
{% endtest %}
