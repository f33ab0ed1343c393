{# CTEs that pair things one to one, closest first: of `candidates` (a CTE with one, other, cost)
   every pair that is the best of both its members is taken, then again among those that are left.
   Equal costs are settled by the ids, so the result depends on the set of candidates only. The
   pairs are the CTE `name`, with one, other and cost. #}
{% macro closest_pairs(name, candidates, rounds=4) -%}
    {%- for round in range(1, rounds + 1) %}
{{ name }}_{{ round }} as (
    select one, other, cost
    from {{ candidates }}
    {%- for earlier in range(1, round) %}
    {{ 'where' if loop.first else 'and' }} one not in (select one from {{ name }}_{{ earlier }})
        and other not in (select other from {{ name }}_{{ earlier }})
    {%- endfor %}
    qualify
        row_number() over (
            partition by one order by cost, least(one, other), greatest(one, other)
        ) = 1
        and row_number() over (
            partition by other order by cost, least(one, other), greatest(one, other)
        ) = 1
),
    {%- endfor %}
{{ name }} as (
    {%- for round in range(1, rounds + 1) %}
    {{ 'union all' if not loop.first }} select * from {{ name }}_{{ round }}
    {%- endfor %}
)
{%- endmacro %}
