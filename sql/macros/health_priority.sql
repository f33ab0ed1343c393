{# Whom to believe when several devices measured the same minutes: the lowest number first, and of
   equal ones the name that comes first in the alphabet. Change the order here; the tables are then
   built anew by themselves. A wrist counts more than a pocket: the phone lies on the table. #}
{% macro health_priority(source_name, device, is_user_entered) -%}
    case
        when {{ is_user_entered }} then 4
        when {{ device }} ilike '%watch%' then 1
        when {{ device }} ilike '%iphone%' or {{ device }} ilike '%ipad%' then 3
        when {{ source_name }} ilike '%watch%' then 1
        when {{ source_name }} ilike '%iphone%' or {{ source_name }} ilike '%ipad%' then 3
        -- rings, straps, scales and apps
        else 2
    end
{%- endmacro %}
