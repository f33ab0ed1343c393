{# The zone of the person's home, as an SQL string; PIPELINE_TIMEZONE, else UTC. #}
{% macro home_timezone() -%}
    {%- if execute -%}
        '{{ env_var('PIPELINE_TIMEZONE', 'UTC') | replace("'", "''") }}'
    {%- else -%}
        'UTC'
    {%- endif -%}
{%- endmacro %}


{# A zone as a source reports it; null if it is no name that is known. #}
{% macro known_timezone(text) -%}
    case when {{ text }} in (select name from pg_timezone_names()) then {{ text }} end
{%- endmacro %}


{# The rows of `told` (a relation or CTE with `instant`, a UTC timestamp, and with `zone` and
   `utc_offset_seconds`, what the source itself says of that instant, or null) with where it was
   lived:

   zone         the source's own, else that of the stay, else that of the home; UTC+02:00 where the
                source tells only how far its clock was ahead
   zone_origin  event, stay or home
   local_at     the instant as the clock on the wall showed it
   local_day    its day
   stay         the place of the stay

   All are null without an instant. Stays do not overlap, see marts.stays. #}
{% macro lived(told, instant='start_at') -%}
(
        select
            told.* exclude (zone, utc_offset_seconds),
            case
                when told.{{ instant }} is null then null
                when told.zone is not null then told.zone
                when told.utc_offset_seconds is not null then printf(
                    'UTC%s%02d:%02d',
                    if(told.utc_offset_seconds < 0, '-', '+'),
                    abs(told.utc_offset_seconds) // 3600,
                    abs(told.utc_offset_seconds) // 60 % 60
                )
                else coalesce(stays.zone, {{ home_timezone() }})
            end as zone,
            case
                when told.{{ instant }} is null then null
                when told.zone is not null or told.utc_offset_seconds is not null then 'event'
                when stays.zone is not null then 'stay'
                else 'home'
            end as zone_origin,
            -- a branch of its own for the zone of the home: a constant zone is six times as fast
            case
                when told.zone is not null
                    then timezone(told.zone, timezone('UTC', told.{{ instant }}))
                when told.utc_offset_seconds is not null
                    then told.{{ instant }} + to_seconds(told.utc_offset_seconds)
                when stays.zone is not null
                    then timezone(stays.zone, timezone('UTC', told.{{ instant }}))
                else timezone({{ home_timezone() }}, timezone('UTC', told.{{ instant }}))
            end as local_at,
            cast(local_at as date) as local_day,
            stays.place as stay
        from {{ told }} as told
        left join {{ ref('stays') }} as stays
            on told.{{ instant }} >= stays.start_at and told.{{ instant }} < stays.end_at
    )
{%- endmacro %}


{# Whether a row of the UTC month `month`, which began at `instant`, may have been lived in a month
   of this model's window. Local time is at most 14 hours ahead of UTC, and 12 behind. #}
{% macro near_partition_window(month, instant) -%}
(
        {{ partition_window(month) }}
        or {{ partition_window(month_of(instant ~ ' + interval 14 hours')) }}
        or {{ partition_window(month_of(instant ~ ' - interval 12 hours')) }}
    )
{%- endmacro %}
