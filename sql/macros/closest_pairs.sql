{# CTEs that pair things one to one, closest first: of `candidates` (a CTE with one, other, cost)
   every pair that is the best of both its members is taken, then again among those that are left,
   until nothing is left that could be paired. So six equal things on either side are six pairs.
   Equal costs are settled by the ids, so the result depends on the set of candidates only. The
   pairs are the CTE `name`, with one, other and cost. Needs `with recursive`. #}
{% macro closest_pairs(name, candidates) -%}
{{ name }}_rounds as (
    select
        one,
        other,
        cost,
        -- in no order that is the same for all: among equals many pairs are taken in one round
        md5(least(one, other) || '/' || greatest(one, other)) as tie,
        false as taken
    from {{ candidates }}
    union all
    select one, other, cost, tie, is_best as taken
    from (
        select
            *,
            bool_or(is_best) over (partition by one) as one_is_taken,
            bool_or(is_best) over (partition by other) as other_is_taken
        from (
            select
                *,
                row_number() over (partition by one order by cost, tie) = 1
                and row_number() over (partition by other order by cost, tie) = 1 as is_best
            from {{ name }}_rounds
            where not taken
        )
    )
    where is_best or not (one_is_taken or other_is_taken)
),

{{ name }} as (
    select one, other, cost
    from {{ name }}_rounds
    where taken
)
{%- endmacro %}
