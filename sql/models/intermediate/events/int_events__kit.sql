{# Of more on a day only the number is an event. #}
{% set named_at_most = 3 -%}
with sent as (
    select distinct on (month, record_key)
        *
    from {{ ref('stg_kit__broadcasts') }}
    where sent_at is not null and {{ month_of('sent_at') }} = month
    order by month, record_key, day
),

moves as (
    select
        month,
        day,
        record_key,
        lake_file,
        coalesce(nullif(trim(first_name), ''), 'Somebody') as name,
        unnest([
            {'kind': 'subscribers_joined', 'at': created_at},
            {
                'kind': 'subscribers_left',
                'at': case when state <> 'active' then coalesce(canceled_at, updated_at) end
            }
        ]) as move
    from {{ ref('stg_kit__subscribers') }}
),

counted as (
    select
        month,
        day,
        move.kind as kind,
        count(*) as people,
        min_by(record_key, (move.at, record_key)) as record_key,
        min_by(lake_file, (move.at, record_key)) as lake_file,
        list({'at': move.at, 'name': name, 'record_key': record_key, 'lake_file': lake_file}
            order by move.at, record_key) as each
    from moves
    where cast(move.at as date) = day
    group by month, day, move.kind
),

named as (
    select month, kind, unnest(each) as one
    from counted
    where people <= {{ named_at_most }}
)

select
    month,
    'kit' as source,
    'broadcast' as kind,
    record_key,
    lake_file,
    sent_at as start_at,
    coalesce(nullif(trim(subject), ''), 'Broadcast') as title,
    nullif(trim(preview_text), '') as detail,
    public_url as address
from sent
union all by name
select
    month,
    'kit' as source,
    kind,
    one.record_key as record_key,
    one.lake_file as lake_file,
    one.at as start_at,
    one.name || if(kind = 'subscribers_joined', ' subscribed', ' unsubscribed') as title,
    [one.name] as people,
    true as by_others
from named
union all by name
select
    month,
    'kit' as source,
    kind,
    cast(day as varchar) as record_key,
    day,
    people || if(kind = 'subscribers_joined', ' people subscribed', ' people unsubscribed')
        as title
from counted
where people > {{ named_at_most }}
