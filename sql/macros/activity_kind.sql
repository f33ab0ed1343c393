{# What kind of activity a word of Strava, FIT, GPX, TCX or Apple means: the first pattern that the
   word holds, in lower case and without anything but letters. A word that is not here (or is in
   another language) gives null, which may be any kind when recordings are compared. #}
{% macro activity_kinds() %}
    {{ return({
        'ride': ['ride', 'cycl', 'bik', 'handcycle', 'velomobile'],
        'swim': ['swim'],
        'hike': ['hik', 'snowshoe', 'mountaineering'],
        'walk': ['walk', 'wheelchair'],
        'ski': ['ski', 'snowboard'],
        'row': ['row', 'paddl', 'kayak', 'canoe'],
        'run': ['run', 'treadmill'],
        'skate': ['skat'],
        'climb': ['climb'],
        'yoga': ['yoga', 'pilates', 'flexibility', 'mindandbody', 'barre'],
        'strength': ['strength', 'weighttraining', 'core', 'crossfit'],
        'gym': ['elliptical', 'stair', 'highintensity', 'hiit', 'cardio', 'training', 'workout',
                'fitness', 'crosstrain']
    }) }}
{% endmacro %}


{% macro activity_kind(word) -%}
    {%- set plain = "regexp_replace(lower(" ~ word ~ "), '[^a-z]', '', 'g')" -%}
    case
        when {{ word }} is null or {{ plain }} in ('workout', 'other', 'generic', 'training')
            then null
        {%- for kind, patterns in activity_kinds().items() %}
        when regexp_matches({{ plain }}, '{{ patterns | join("|") }}') then '{{ kind }}'
        {%- endfor %}
    end
{%- endmacro %}
