-- The records of one export on their way into the lake. Who measured what repeats, and is kept once.
create table heads (
    head integer,
    "type" varchar,
    "sourceName" varchar,
    "sourceVersion" varchar,
    device varchar,
    unit varchar,
    offsets varchar
);

create table lines (
    month date,
    head integer,
    "value" varchar,
    start_at timestamp,
    end_at timestamp,
    created_at timestamp,
    metadata varchar,
    more varchar
);
