-- The records of one export, bound for the lake. Who measured what repeats, and is stored once.
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
