-- A time that is none, or a start that cannot be, is an error: then nothing of the file is taken.
insert into lines
select
    cast(date_trunc('month', start_at) as date),
    head,
    "value",
    if(start_at between timestamp '1990-01-01' and $latest, start_at, error('impossible start')),
    moment(ended),
    moment(created),
    metadata,
    more,
    coalesce(
        offsets,
        if(
            right(started, 5) = right(ended, 5) and right(started, 5) = right(created, 5),
            right(started, 5),
            concat_ws(' ', right(created, 5), right(started, 5), right(ended, 5))
        )
    )
from (
    select *, moment(started) as start_at
    from read_csv(
        $path,
        columns = {
            head: 'integer',
            created: 'varchar',
            started: 'varchar',
            ended: 'varchar',
            "value": 'varchar',
            metadata: 'varchar',
            more: 'varchar',
            offsets: 'varchar'
        },
        auto_detect = false,
        header = false,
        delim = e'\x1f',
        quote = e'\x02',
        escape = e'\x02',
        nullstr = e'\x03',
        new_line = '\n',
        parallel = false,
        max_line_size = 10000000,
        buffer_size = 20000000
    )
)
