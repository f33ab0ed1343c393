-- The records of one export on their way into the lake. Who measured what repeats, and is kept once.
create table heads (
    head integer,
    "type" varchar,
    "sourceName" varchar,
    "sourceVersion" varchar,
    device varchar,
    unit varchar
);

create table lines (
    month date,
    head integer,
    "value" varchar,
    start_at timestamp,
    end_at timestamp,
    created_at timestamp,
    metadata varchar,
    more varchar,
    offsets varchar
);

-- Raises an error when the text is no time.
create macro moment(written) as
    make_timestamp(epoch_us(strptime(written, '%Y-%m-%d %H:%M:%S %z')));
