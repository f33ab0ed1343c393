{# Days in stretches, each at most `most` days from the next: the rows of `days` (a relation with
   the columns `keys` and `day`, each once) with the number of their `stretch` among those of equal
   keys. #}
{% macro stretches(days, day, keys, most) -%}
select
    *,
    sum(if({{ day }} - before > {{ most }}, 1, 0)) over (
        partition by {{ keys }} order by {{ day }}
    ) as stretch
from (
    select *, lag({{ day }}) over (partition by {{ keys }} order by {{ day }}) as before
    from {{ days }}
)
{%- endmacro %}
