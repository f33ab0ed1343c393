-- The records of one export on their way into the lake. What repeats is kept once: `heads` (who
-- measured what, and how the tag is written) and `endings` (what follows the last attribute), so
-- that a line is narrow and each of the two is read by the real parser only once.

create table heads (
    id integer,
    head ubigint,
    regular boolean,
    "type" varchar,
    "sourceName" varchar,
    "sourceVersion" varchar,
    unit varchar,
    device varchar,
    offsets varchar
);

create table endings (
    id integer,
    ending ubigint,
    regular boolean,
    metadata varchar,
    more varchar
);

create table lines (
    month date,
    head integer,
    ending integer,
    "value" varchar,
    start_at timestamp,
    end_at timestamp,
    created_at timestamp
);

-- Records that are written in another way: read one by one.
create table singles (
    month date,
    "type" varchar,
    "sourceName" varchar,
    "sourceVersion" varchar,
    unit varchar,
    "value" varchar,
    start_at timestamp,
    end_at timestamp,
    created_at timestamp,
    metadata varchar,
    more varchar,
    device varchar,
    offsets varchar
);

create view records as
select
    lines.month,
    heads."type",
    heads."sourceName",
    heads."sourceVersion",
    heads.unit,
    lines."value",
    lines.start_at,
    lines.end_at,
    lines.created_at,
    endings.metadata,
    endings.more,
    heads.device,
    heads.offsets
from lines
inner join heads on lines.head = heads.id
inner join endings on lines.ending = endings.id
union all
select * from singles;

-- The value of an attribute of the line at hand, as it is written; null when it has none.
create macro attribute(name) as case
    when ends_with(p0, '<Record' || name) then p1
    when p2 = name then p3
    when p4 = name then p5
    when p6 = name then p7
    when p8 = name then p9
    when p10 = name then p11
    when p12 = name then p13
    when p14 = name then p15
    when p16 = name then p17
    when p18 = name then p19
end;

create macro moment(written) as
    cast(try_strptime(written, '%Y-%m-%d %H:%M:%S %z') as timestamp);

-- What of a line repeats. The offsets belong to it: they are few.
create macro head_of(created, started, ended) as hash(
    p0, p2, p4, p6, p8, p10, p12, p14, p16, p18, p20, p22,
    attribute(' type='),
    attribute(' sourceName='),
    attribute(' sourceVersion='),
    attribute(' unit='),
    attribute(' device='),
    right(created, 5),
    right(started, 5),
    right(ended, 5)
);

-- Whether the rest of a line can be taken as it is written: a value of printable ASCII without
-- `&` and `<`, as every number is, and times of the usual form and a possible day.
create macro is_plain("value", created, started, ended, latest) as
    coalesce(regexp_full_match("value", '[!-%''-;=-~]*'), true)
    and coalesce(strlen(started) = 25, false)
    and coalesce(strlen(ended) = 25, true)
    and coalesce(strlen(created) = 25, true)
    and coalesce(moment(started) between timestamp '1990-01-01' and latest, false)
    and (ended is null or moment(ended) is not null)
    and (created is null or moment(created) is not null);

-- Quotes cut a record into text between values (even columns) and values (odd ones). U+0002 is
-- put around the ending, which has quotes of its own.
create macro lines_of(path) as table
select
    *,
    coalesce(p24, p22, p20, p18, p16, p14, p12, p10, p8, p6, p4, p2) as ending,
    attribute(' value=') as "value",
    attribute(' creationDate=') as created,
    attribute(' startDate=') as started,
    attribute(' endDate=') as ended
from read_csv(
    path,
    columns = {
        p0: 'varchar', p1: 'varchar', p2: 'varchar', p3: 'varchar', p4: 'varchar',
        p5: 'varchar', p6: 'varchar', p7: 'varchar', p8: 'varchar', p9: 'varchar',
        p10: 'varchar', p11: 'varchar', p12: 'varchar', p13: 'varchar', p14: 'varchar',
        p15: 'varchar', p16: 'varchar', p17: 'varchar', p18: 'varchar', p19: 'varchar',
        p20: 'varchar', p21: 'varchar', p22: 'varchar', p23: 'varchar', p24: 'varchar',
        p25: 'varchar'
    },
    auto_detect = false,
    header = false,
    delim = '"',
    quote = e'\x02',
    escape = '',
    nullstr = e'\x03',
    new_line = '\n',
    null_padding = true,
    strict_mode = false,
    ignore_errors = true,
    parallel = false,
    max_line_size = 4000000
)
where contains(p0, '<Record ');
