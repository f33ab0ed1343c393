{# What the newest look at the sheet says of each of `stories` (a CTE with story_id and title).
   A row of the sheet names its story by id or address, or else by title alone. #}
{% macro flags_of(stories) -%}
select
        named.story_id,
        bool_or(sheet.boosted) as boosted,
        min(sheet.boosted_on) filter (where sheet.boosted) as boosted_on
    from {{ stories }} as named
    inner join {{ ref('stg_google_sheets__story_flags') }} as sheet
        on sheet.story_id = named.story_id
        or (sheet.story_id is null and lower(sheet.title) = lower(trim(named.title)))
    where sheet.day = (select max(day) from {{ ref('stg_google_sheets__story_flags') }})
    group by named.story_id
{%- endmacro %}
