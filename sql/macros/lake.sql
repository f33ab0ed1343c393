{# The records of one stream as the lake holds them: key, record (JSON, verbatim), as_of and
   origin (drops only), the partition (`day` or `month`), and lake_file, which is relative to the
   lake so that moving the home changes no row. A stream of which nothing has ever come is an
   empty relation. PIPELINE_LAKE is the folder. #}
{% macro lake(source_name, stream) -%}
    {%- set relation = source(source_name, stream) -%}
    {%- if execute -%}
        {%- set node = graph.sources.values()
            | selectattr('source_name', 'equalto', source_name)
            | selectattr('name', 'equalto', stream)
            | first -%}
        {%- set grain = node.config.meta.grain -%}
        {%- set files = lake_files(source_name, stream, grain) -%}
        {%- set found = run_query('select count(*) from glob(' ~ files ~ ')') -%}
        {%- if found.columns[0].values()[0] > 0 -%}
(
        select
            key,
            record,
            as_of,
            origin,
            {{ grain }},
            -- a path on Windows has backslashes
            regexp_extract(
                replace(filename, '\', '/'), '[^/]+/[^/]+/[^/]+/part\.jsonl\.gz$'
            ) as lake_file
        from read_ndjson(
            {{ files }},
            columns = {key: 'varchar', record: 'json', as_of: 'varchar', origin: 'varchar'},
            hive_partitioning = true,
            hive_types = { {{- grain }}: date},
            filename = true
        )
    )
        {%- else -%}
(
        select
            null::varchar as key,
            null::json as record,
            null::varchar as as_of,
            null::varchar as origin,
            null::date as {{ grain }},
            null::varchar as lake_file
        where false
    )
        {%- endif -%}
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}


{# The rows of a stream that lies in Parquet, likewise: the columns that the stream declares, each
   with its type, then month and lake_file. #}
{% macro lake_table(source_name, stream, columns) -%}
    {%- set relation = source(source_name, stream) -%}
    {%- if execute -%}
        {%- set files = lake_files(source_name, stream, 'month', 'part.parquet') -%}
        {%- set found = run_query('select count(*) from glob(' ~ files ~ ')') -%}
        {%- if found.columns[0].values()[0] > 0 -%}
(
        select
            {%- for name in columns %}
            "{{ name }}",
            {%- endfor %}
            month,
            regexp_extract(
                replace(filename, '\', '/'), '[^/]+/[^/]+/[^/]+/part\.parquet$'
            ) as lake_file
        from read_parquet(
            {{ files }},
            hive_partitioning = true,
            hive_types = {month: date},
            filename = true
        )
    )
        {%- else -%}
(
        select
            {%- for name, type in columns.items() %}
            null::{{ type }} as "{{ name }}",
            {%- endfor %}
            null::date as month,
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
{% macro lake_files(source_name, stream, grain, part='part.jsonl.gz') -%}
    {%- set folder = env_var('PIPELINE_LAKE') -%}
    {%- set folder = folder.replace('[', '[[]').replace('*', '[*]').replace('?', '[?]') -%}
    {%- set pattern = [folder, source_name, stream, grain ~ '=*', part] | join('/') -%}
    '{{ pattern.replace("'", "''") }}'
{%- endmacro %}
