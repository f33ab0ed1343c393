{# The records of one stream as the lake holds them: key, record (JSON, verbatim), as_of and
   origin (drops only), the partition (`day` or `month`), and lake_file, which is relative to the
   lake so that moving the home changes no row. A stream of which nothing has ever come is an
   empty relation. PIPELINE_LAKE is the folder. #}
{% macro lake(source_name, stream) -%}
    {%- set columns = {'key': 'varchar', 'record': 'json', 'as_of': 'varchar', 'origin': 'varchar'} -%}
    {%- if execute -%}
        {%- set node = graph.sources.values()
            | selectattr('source_name', 'equalto', source_name)
            | selectattr('name', 'equalto', stream)
            | first -%}
        {%- set grain = node.config.meta.grain -%}
    {%- endif -%}
    {{ lake_rows(source_name, stream, grain, 'part.jsonl.gz', 'read_ndjson', columns) }}
{%- endmacro %}


{# The rows of a stream that lies in Parquet, likewise: the columns that the stream declares, each
   with its type, then month and lake_file. #}
{% macro lake_table(source_name, stream, columns) -%}
    {{ lake_rows(source_name, stream, 'month', 'part.parquet', 'read_parquet', columns) }}
{%- endmacro %}


{% macro lake_rows(source_name, stream, grain, part, reader, columns) -%}
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
            {{ grain }},
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
            null::date as {{ grain }},
            null::varchar as lake_file
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
