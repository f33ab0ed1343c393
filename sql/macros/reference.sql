{# The id of another object in a Stripe record: a field holds the id, or the object itself when
   the request asked for it to be expanded. #}
{% macro reference(field) -%}
    coalesce(record ->> '$.{{ field }}.id', record ->> '$.{{ field }}')
{%- endmacro %}
