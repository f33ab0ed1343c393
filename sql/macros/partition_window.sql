{# The partitions of this model that the run rebuilds, as a condition on `column`, which holds
   the day or the first day of the month.

   PIPELINE_WINDOWS is a CSV file of model, first day, day after the last; without these the model
   has no window. A model that it does not name is rebuilt whole, one with no window gets no row. A
   file, because years of single days outgrow an environment variable. It is read at execution only
   and is no --vars, so a new window does not parse the project again; the compiled SQL holds
   literal dates, so DuckDB opens only the lake files of the window. A full refresh throws away
   every row, so it brings back every row, whatever the windows say. #}
{% macro partition_window(column) -%}
    {%- set window = none -%}
    {%- if execute and not should_full_refresh() -%}
        {%- set file = env_var('PIPELINE_WINDOWS', '') | replace("'", "''") -%}
        {%- if file -%}
            {# one line of text: dbt spends half a millisecond on each row of a result #}
            {%- set window = run_query(
                "select count(*), string_agg(format('({0} >= date ''{1}'' and {0} < date ''{2}'')',"
                ~ " '" ~ (column | replace("'", "''")) ~ "', begins, ends), ' or ' order by begins)"
                ~ " from read_csv('" ~ file ~ "', header = true, columns ="
                ~ " {'model': 'varchar', 'begins': 'varchar', 'ends': 'varchar'})"
                ~ " where model = '" ~ model.name ~ "'"
            ).rows[0] -%}
        {%- endif -%}
    {%- endif -%}
    {%- if window and window[0] %}({{ window[1] or 'false' }}){% else %}true{% endif -%}
{%- endmacro %}
