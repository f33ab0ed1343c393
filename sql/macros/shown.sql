{# Figures as people read them, in titles of events. #}

{% macro hours_and_minutes(seconds) -%}
    if(
        round({{ seconds }} / 60) >= 60,
        format(
            '{} h {} min',
            cast(round({{ seconds }} / 60) as bigint) // 60,
            cast(round({{ seconds }} / 60) as bigint) % 60
        ),
        format('{:.0f} min', {{ seconds }} / 60)
    )
{%- endmacro %}


{% macro shown_figure(value, unit) -%}
    case {{ unit }}
        when 'm' then if(
            {{ value }} >= 1000,
            format('{:.1f} km', {{ value }} / 1000),
            format('{:.0f} m', {{ value }})
        )
        when 's' then {{ hours_and_minutes(value) }}
        when 'm/s' then format('{:.1f} km/h', {{ value }} * 3.6)
        when 'steps' then format('{:,.0f} steps', {{ value }})
    end
{%- endmacro %}
