{# What the units of Apple Health are in the one that tables use: metres, kilocalories, kilograms,
   minutes, beats a minute. A phone writes the units that its owner chose, and they may change from
   one export to the next. `Cal` is Apple's word for the kilocalorie. A unit that is not here is
   left as it is. #}
{% macro health_units() -%}
    {{ return({
        'km': ['m', 1000], 'cm': ['m', 0.01], 'mm': ['m', 0.001], 'mi': ['m', 1609.344],
        'yd': ['m', 0.9144], 'ft': ['m', 0.3048], 'in': ['m', 0.0254],
        'Cal': ['kcal', 1], 'cal': ['kcal', 0.001], 'kJ': ['kcal', 0.2390057361376673],
        'J': ['kcal', 0.0002390057361376673],
        'g': ['kg', 0.001], 'mg': ['kg', 0.000001], 'lb': ['kg', 0.45359237],
        'oz': ['kg', 0.028349523125], 'st': ['kg', 6.35029318],
        's': ['min', 0.016666666666666666], 'hr': ['min', 60],
        'count/s': ['count/min', 60]
    }) }}
{%- endmacro %}


{% macro health_unit(unit) -%}
    case {{ unit }}
        {%- for name, standard in health_units().items() %}
        when '{{ name }}' then '{{ standard[0] }}'
        {%- endfor %}
        else {{ unit }}
    end
{%- endmacro %}


{% macro health_quantity(text, unit) -%}
    try_cast({{ text }} as double) * case {{ unit }}
        {%- for name, standard in health_units().items() %}
        when '{{ name }}' then {{ standard[1] }}::double
        {%- endfor %}
        else 1::double
    end
{%- endmacro %}
