{# A header that repeats has its second place in _2: the first is what pages show, the second is in
   metres and seconds. #}
{% macro strava_text(name) -%}
    record -> 'columns' ->> '{{ name }}'
{%- endmacro %}


{% macro strava_figure(names) -%}
    coalesce(
        {%- for name in names %}
        try_cast(
            replace(
                if(
                    regexp_full_match({{ strava_text(name) }}, '-?\d+,\d{1,2}'),
                    replace({{ strava_text(name) }}, ',', '.'),
                    {{ strava_text(name) }}
                ),
                ',', ''
            ) as double
        ){{ ',' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
