{# The records of a stream of drops as the lake holds them: key, record (JSON, verbatim), as_of,
   origin, month, and lake_file, which is relative to the lake so that moving the home changes no
   row. A stream of which nothing has ever come is an empty relation. PIPELINE_LAKE is the folder. #}
{% macro lake(source_name, stream) -%}
    {%- set columns = {'key': 'varchar', 'record': 'json', 'as_of': 'varchar', 'origin': 'varchar'} -%}
    {{ lake_rows(source_name, stream, 'month', 'part.jsonl.gz', 'read_ndjson', columns) }}
{%- endmacro %}


{# The records of a stream that a service answers for, likewise, each under every day on which it is
   filed: key, record, as_of, day, month and lake_file, whether a file holds a day or a month. #}
{% macro lake_days(source_name, stream) -%}
    {%- set columns = {'key': 'varchar', 'record': 'json', 'as_of': 'varchar'} -%}
    {%- set grain = 'day' -%}
    {%- if execute -%}
        {%- set node = graph.sources.values()
            | selectattr('source_name', 'equalto', source_name)
            | selectattr('name', 'equalto', stream)
            | first -%}
        {%- set grain = node.config.meta.grain -%}
    {%- endif -%}
    {%- if grain == 'month' -%}
        {%- do columns.update({'day': 'date'}) -%}
    {%- endif -%}
    {{ lake_rows(source_name, stream, grain, 'part.jsonl.gz', 'read_ndjson', columns) }}
{%- endmacro %}


{# The rows of a stream that lies in Parquet, likewise: the columns that the stream declares, each
   with its type, then month and lake_file. #}
{% macro lake_table(source_name, stream, columns) -%}
    {{ lake_rows(source_name, stream, 'month', 'part.parquet', 'read_parquet', columns) }}
{%- endmacro %}


{% macro lake_rows(source_name, stream, grain, part, reader, columns) -%}
    {#- files are pruned by this, too: it is a function of their folder -#}
    {%- set partition = {
        'day': "day, cast(date_trunc('month', day) as date) as month", 'month': 'month'
    }[grain] -%}
    {%- set relation = source(source_name, stream) -%}
    {%- if execute -%}
        {%- set files = lake_files(source_name, stream, grain, part) -%}
        {%- set found = run_query('select count(*) from glob(' ~ files ~ ')') -%}
        {%- if found.columns[0].values()[0] > 0 -%}
(
        select
            {%- for name in columns %}
            "{{ name }}",
            {%- endfor %}
            {{ partition }},
            -- a path on Windows has backslashes
            regexp_extract(
                replace(filename, '\', '/'), '[^/]+/[^/]+/[^/]+/{{ part.replace('.', '\\.') }}$'
            ) as lake_file
        from {{ reader }}(
            {{ files }},
            {%- if reader == 'read_ndjson' %}
            columns = {
                {%- for name, type in columns.items() %}
                {{ name }}: '{{ type }}'{{ ',' if not loop.last }}
                {%- endfor %}
            },
            {%- endif %}
            hive_partitioning = true,
            hive_types = { {{- grain }}: date},
            filename = true
        )
    )
        {%- else -%}
(
        select
            {%- for name, type in columns.items() %}
            null::{{ type }} as "{{ name }}",
            {%- endfor %}
            {{ partition }},
            null::varchar as lake_file
        from (select null::date as {{ grain }})
        where false
    )
        {%- endif -%}
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}


{# The pattern of a stream's files as an SQL string. The folder may have any name: what globbing
   would read as a pattern is put in brackets. #}
{% macro lake_files(source_name, stream, grain, part) -%}
    {%- set folder = env_var('PIPELINE_LAKE') -%}
    {%- set folder = folder.replace('[', '[[]').replace('*', '[*]').replace('?', '[?]') -%}
    {%- set pattern = [folder, source_name, stream, grain ~ '=*', part] | join('/') -%}
    '{{ pattern.replace("'", "''") }}'
{%- endmacro %}
