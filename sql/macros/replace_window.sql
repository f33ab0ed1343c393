{# The incremental strategy of every partitioned table: the partitions of the window go out, the
   rows that were just computed come in. dbt runs both in one transaction, after the rows have
   been computed into a temporary table, so a run that is killed leaves the old rows. #}
{% macro get_incremental_replace_window_sql(arguments) -%}
    {%- set columns = get_quoted_csv(arguments.dest_columns | map(attribute='name')) -%}
    delete from {{ arguments.target_relation }}
    where {{ partition_window(model.config.meta.grain) }};

    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }} from {{ arguments.temp_relation }}
{%- endmacro %}
