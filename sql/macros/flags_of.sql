{# What the person's flags say of each of `stories` (a CTE with story_id and title). A flag names its
   story by id, or else by title alone. #}
{% macro flags_of(stories) -%}
select
        named.story_id,
        bool_or(flags.boosted) as boosted,
        min(flags.boosted_on) filter (where flags.boosted) as boosted_on,
        min(flags.source) as flagged_by
    from {{ stories }} as named
    inner join {{ ref('int_story_flags') }} as flags
        on flags.story_id = named.story_id
        or (flags.story_id is null and lower(flags.title) = lower(trim(named.title)))
    group by named.story_id
{%- endmacro %}
