{# In which of five zones a heart rate is: from half of the maximum up, a tenth of it wide each, the
   usual division. What is below half belongs to no zone (0). Change the shares here. #}
{% macro heart_rate_zone(heart_rate, maximum) -%}
    case
        when {{ heart_rate }} >= 0.9 * {{ maximum }} then 5
        when {{ heart_rate }} >= 0.8 * {{ maximum }} then 4
        when {{ heart_rate }} >= 0.7 * {{ maximum }} then 3
        when {{ heart_rate }} >= 0.6 * {{ maximum }} then 2
        when {{ heart_rate }} >= 0.5 * {{ maximum }} then 1
        else 0
    end
{%- endmacro %}
