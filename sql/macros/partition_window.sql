{# The partitions of this model that the run rebuilds, as a condition on `column`, which holds
   the day or the first day of the month.

   PIPELINE_WINDOWS is JSON: {model: [[first day, day after the last], ...]}. A model that it
   does not name is rebuilt whole, one with no window gets no row. It is read at execution only
   and is no --vars, so a new window does not parse the project again; the compiled SQL holds
   literal dates, so DuckDB opens only the lake files of the window. A full refresh throws away
   every row, so it brings back every row, whatever the windows say. #}
{% macro partition_window(column) -%}
    {%- set windows = none -%}
    {%- if execute and not should_full_refresh() -%}
        {%- set windows = fromjson(env_var('PIPELINE_WINDOWS', '{}')).get(model.name) -%}
    {%- endif -%}
    {%- if windows is none -%}
        true
    {%- else -%}
        (false
        {%- for start, end in windows %}
            or ({{ column }} >= date '{{ start }}' and {{ column }} < date '{{ end }}')
        {%- endfor -%}
        )
    {%- endif -%}
{%- endmacro %}
