insert into lines
select
    cast(date_trunc('month', make_timestamp(started * 1000000)) as date),
    head,
    nullif("value", chr(3)),
    make_timestamp(started * 1000000),
    make_timestamp(nullif(ended, -4611686018427387904) * 1000000),
    make_timestamp(nullif(created, -4611686018427387904) * 1000000),
    nullif(metadata, chr(3)),
    nullif(more, chr(3))
from taken
